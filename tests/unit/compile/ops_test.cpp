// Conformance of compiled code, one row per primitive: per-sample and shared forms, odd extents, every width and number
// of threads against the interpreter. A primitive without a row fails the test.
#include "tests/unit/compile/differential.h"
#include "tests/unit/compile/ops_rows.h"

#include <set>

namespace mlc {
namespace {

ValueId positive(Builder& b, ValueId x) { return b.binary(OpCode::add, b.unary(OpCode::abs, x), b.constant(0.1)); }

std::vector<Row> rows() {
  std::vector<Row> out;
  auto unary = [&](OpCode code, bool needs_positive = false, double stretch = 3) {
    out.push_back({std::string(op_info(code).name), [=](Inputs& in) {
                     std::vector<ValueId> values;
                     for (ValueId v : {in.x({5, 3}), in.p({7, 3}), in.x({}), in.p({})}) {
                       v = in.b.binary(OpCode::mul, v, in.b.constant(stretch));
                       if (needs_positive) v = positive(in.b, v);
                       values.push_back(in.b.unary(code, v));
                     }
                     return values;
                   }});
  };
  auto binary = [&](OpCode code, bool needs_positive = false) {
    out.push_back({std::string(op_info(code).name), [=](Inputs& in) {
                     ValueId x = in.x({5, 3}), y = in.x({5, 1}), p = in.p({3}), q = in.p({7, 3});
                     if (needs_positive) x = positive(in.b, x), y = positive(in.b, y), p = positive(in.b, p), q = positive(in.b, q);
                     return std::vector<ValueId>{in.b.binary(code, x, y), in.b.binary(code, x, p), in.b.binary(code, p, x),
                                                 in.b.binary(code, q, p)};
                   }});
  };
  auto logic = [&](OpCode code) {
    out.push_back({std::string(op_info(code).name), [=](Inputs& in) {
                     ValueId a = in.b.binary(OpCode::lt, in.x({5, 3}), in.x({5, 3})), c = in.b.binary(OpCode::le, in.x({5, 3}), in.p({3}));
                     ValueId r = op_info(code).operands == 1 ? in.b.unary(code, a) : in.b.binary(code, a, c);
                     return std::vector<ValueId>{in.b.cast(r, DType::f32)};
                   }});
  };
  for (OpCode c : {OpCode::neg, OpCode::abs, OpCode::sign, OpCode::exp, OpCode::expm1, OpCode::sin, OpCode::cos, OpCode::tanh, OpCode::erf,
                   OpCode::sigmoid, OpCode::floor, OpCode::round, OpCode::stop_gradient, OpCode::copy})
    unary(c);
  for (OpCode c : {OpCode::log, OpCode::log1p, OpCode::sqrt, OpCode::rsqrt}) unary(c, true);
  for (OpCode c : {OpCode::add, OpCode::sub, OpCode::mul, OpCode::max, OpCode::min}) binary(c);
  for (OpCode c : {OpCode::div, OpCode::pow, OpCode::floordiv, OpCode::mod}) binary(c, true);
  for (OpCode c : {OpCode::logical_not, OpCode::logical_and, OpCode::logical_or}) logic(c);
  for (OpCode c : {OpCode::eq, OpCode::ne, OpCode::lt, OpCode::le})
    out.push_back({std::string(op_info(c).name), [=](Inputs& in) {
                     ValueId i = in.b.cast(in.index({5}), DType::f32), j = in.b.cast(in.index({5}), DType::f32);
                     ValueId k = in.b.binary(c, in.index({5}), in.index({5}));
                     return std::vector<ValueId>{in.b.cast(in.b.binary(c, i, j), DType::f32), in.b.cast(k, DType::f32)};
                   }});
  auto row = [&](const char* name, std::function<std::vector<ValueId>(Inputs&)> make) { out.push_back({name, std::move(make)}); };
  row("isnan", [](Inputs& in) {
    return std::vector<ValueId>{in.b.cast(in.b.unary(OpCode::isnan, in.b.unary(OpCode::sqrt, in.x({9}))), DType::f32)};
  });
  row("select", [](Inputs& in) {
    return std::vector<ValueId>{in.b.select(in.b.binary(OpCode::lt, in.x({5, 3}), in.p({3})), in.x({5, 3}), in.p({5, 1}))};
  });
  row("cast", [](Inputs& in) {
    ValueId i = in.b.cast(in.b.binary(OpCode::mul, in.x({6}), in.b.constant(9)), DType::i32);
    return std::vector<ValueId>{in.b.cast(i, DType::f32),
                                in.b.cast(in.b.binary(OpCode::floordiv, i, in.b.cast(in.b.constant(3), DType::i32)), DType::f32)};
  });
  row("constant", [](Inputs& in) {
    return std::vector<ValueId>{in.b.binary(OpCode::mul, in.x({3, 2}), in.b.tensor_constant({1, 2, 3, 4, 5, 6}, {3, 2}))};
  });
  row("iota", [](Inputs& in) {
    return std::vector<ValueId>{in.b.binary(OpCode::mul, in.x({19}), in.b.iota(19, DType::f32)), in.b.iota(19, DType::f32)};
  });
  row("input", [](Inputs& in) { return std::vector<ValueId>{in.x({4, 5})}; });
  row("state", [](Inputs& in) { return std::vector<ValueId>{in.p({4, 5})}; });
  row("scalar", [](Inputs& in) {
    ValueId s = in.b.scalar(in.b.add_scalar({"lr", {{{HostFormula::Op::variable, 0, 0}}}}));
    return std::vector<ValueId>{in.b.binary(OpCode::mul, in.x({4}), s)};
  });
  row("uniform", [](Inputs& in) { return std::vector<ValueId>{in.b.uniform({7, 3}, 5, false), in.b.uniform({7, 3}, 6, true)}; });
  row("normal", [](Inputs& in) { return std::vector<ValueId>{in.b.normal({7, 3}, 5, false), in.b.normal({7, 3}, 6, true)}; });
  row("broadcast", [](Inputs& in) {
    return std::vector<ValueId>{in.b.broadcast_to(in.p({3, 1}), {2, 3, 4}, true), in.b.broadcast_to(in.x({3, 1}), {2, 3, 4}, true)};
  });
  row("reshape", [](Inputs& in) {
    ValueId y = in.b.unary(OpCode::exp, in.x({6, 4}));
    return std::vector<ValueId>{in.b.reshape(y, {3, 8}), in.b.binary(OpCode::mul, in.b.reshape(y, {2, 12}), in.p({12})),
                                in.b.reshape(in.b.unary(OpCode::exp, in.p({6, 4})), {8, 3})};
  });
  row("transpose", [](Inputs& in) {
    return std::vector<ValueId>{in.b.permute(in.x({2, 3, 4}), {2, 0, 1}), in.b.transpose(in.b.unary(OpCode::exp, in.p({5, 18})), 0, 1)};
  });
  row("slice", [](Inputs& in) {
    return std::vector<ValueId>{in.b.slice(in.x({9, 2}), 0, 1, 8, 3), in.b.slice(in.b.unary(OpCode::exp, in.p({40})), 0, 3, 37, 2)};
  });
  row("pad", [](Inputs& in) {
    return std::vector<ValueId>{in.b.pad(in.x({3, 2}), {{1, 2}, {0, 1}}, 0.5), in.b.pad(in.p({3, 2}), {{1, 2}, {0, 1}}, 0.5)};
  });
  row("concat", [](Inputs& in) {
    return std::vector<ValueId>{in.b.concat({in.x({3, 2}), in.x({1, 2})}, 0), in.b.concat({in.p({3, 2}), in.p({3, 5})}, 1)};
  });
  for (OpCode c : {OpCode::reduce_sum, OpCode::reduce_max, OpCode::reduce_min, OpCode::reduce_prod})
    row(op_info(c).name.data(), [c](Inputs& in) {
      using Dims = std::vector<int64_t>;
      ValueId x = in.x({5, 3}), p = in.p({37}), q = in.p({4, 21});
      return std::vector<ValueId>{in.b.reduce(c, x, Dims{1}, false, false),      in.b.reduce(c, x, Dims{0}, true, false),
                                  in.b.reduce(c, x, std::nullopt, false, false), in.b.reduce(c, x, Dims{1}, false, true),
                                  in.b.reduce(c, x, Dims{}, false, true),        in.b.reduce(c, x, std::nullopt, false, true),
                                  in.b.reduce(c, p, std::nullopt, false, false), in.b.reduce(c, q, Dims{0}, false, false),
                                  in.b.reduce(c, q, Dims{1}, false, false)};
    });
  row("argmax", [](Inputs& in) {
    return std::vector<ValueId>{in.b.cast(in.b.argmax(in.x({7, 3}), 0, false), DType::f32),
                                in.b.cast(in.b.argmax(in.p({7, 20}), 1, false), DType::f32)};
  });
  row("cumsum", [](Inputs& in) { return std::vector<ValueId>{in.b.cumsum(in.x({7, 3}), 0), in.b.cumsum(in.p({7, 3}), 1)}; });
  row("contract", [](Inputs& in) {
    return std::vector<ValueId>{in.b.matmul(in.x({19}), in.p({19, 21})), in.b.matmul(in.x({3, 5}), in.p({5, 18})),
                                in.b.matmul(in.x({3, 5}), in.x({5, 2})), in.b.matmul(in.p({6, 5}), in.p({5, 33})),
                                in.b.matmul(in.x({8}), in.x({8}))};
  });
  // Tokens in lanes, sums in chunks over samples (depth 2048 and more), copies of far columns.
  row("contract_tokens", [](Inputs& in) {
    ValueId x = in.x({131, 20}), w = in.p({37, 20}), scores = in.b.matmul(x, in.b.transpose(x, 0, 1));
    ValueId y = in.b.matmul(x, in.b.transpose(w, 0, 1)), mixed = in.b.matmul(scores, y);
    ValueId loss = in.b.reduce(OpCode::reduce_sum, in.b.binary(OpCode::mul, mixed, mixed), std::nullopt, false, true);
    return std::vector<ValueId>{mixed, differentiate(in.b.graph(), loss, {w})[0]};
  });
  row("transposed_with_itself", [](Inputs& in) {
    ValueId a = in.b.unary(OpCode::exp, in.p({19, 19})), b = in.b.unary(OpCode::exp, in.x({5, 5}));
    return std::vector<ValueId>{
        in.b.binary(OpCode::add, a, in.b.transpose(a, 0, 1)),
        in.b.reduce(OpCode::reduce_sum, in.b.binary(OpCode::mul, b, in.b.transpose(b, 0, 1)), std::vector<int64_t>{0}, false, false)};
  });
  row("contract_far", [](Inputs& in) {
    return std::vector<ValueId>{in.b.matmul(in.p({65, 40}), in.p({40, 257})), in.b.matmul(in.x({131, 35}), in.p({35, 301}))};
  });
  row("take",
      [](Inputs& in) { return std::vector<ValueId>{in.b.take(in.p({4, 6}), in.index({5})), in.b.take(in.p({4, 20}), in.index({}))}; });
  row("take_grad", [](Inputs& in) {
    ValueId table = in.p({4, 20}), picked = in.b.take(table, in.index({3}));
    ValueId loss = in.b.reduce(OpCode::reduce_sum, in.b.binary(OpCode::mul, picked, in.x({3, 20})), std::nullopt, false, true);
    return std::vector<ValueId>{differentiate(in.b.graph(), loss, {table})[0]};
  });
  row("pick", [](Inputs& in) {
    return std::vector<ValueId>{in.b.pick(in.x({4}), in.index({}), 0), in.b.pick(in.b.unary(OpCode::exp, in.x({6, 4})), in.index({6}), 1)};
  });
  for (Row& r : window_rows()) out.push_back(std::move(r));
  return out;
}

Graph build(const Row& row, int64_t batch) {
  Graph g;
  g.name = row.name;
  g.batch = batch;
  Builder b(g);
  int n = 0;
  auto input = [&](DType d, Shape s) { return b.input(b.add_tensor({"x" + std::to_string(n++), {d, std::move(s)}, Role::input})); };
  Inputs in{b, [&](Shape s) { return input(DType::f32, std::move(s)); },
            [&](Shape s) { return b.state(b.add_tensor({"p" + std::to_string(n++), {DType::f32, std::move(s)}, Role::parameter})); },
            [&](Shape s) { return input(DType::i32, std::move(s)); }};
  std::vector<ValueId> values = row.make(in);
  for (size_t i = 0; i < values.size(); ++i) b.output("y" + std::to_string(i), values[i]);
  return g;
}

class Ops : public testing::TestWithParam<size_t> {};

TEST_P(Ops, AgreesEverywhere) {
  Row row = rows()[GetParam()];
  for (int64_t batch : {1, 16, 19}) {
    SCOPED_TRACE(row.name + " batch " + std::to_string(batch));
    Differential run(build(row, batch), 2, 11);
    if (row.large && batch < 17) run.check_some(static_cast<unsigned>(batch), 2e-5);
    else run.check();
  }
}

INSTANTIATE_TEST_SUITE_P(All, Ops, testing::Range(size_t{0}, rows().size()), [](const auto& info) { return rows()[info.param].name; });

// Windows of one stream: a row begins before the one ahead of it ends.
TEST(Input, RowsOverlap) {
  for (int64_t pitch : {1, 3}) {
    Graph g;
    g.batch = 19;
    Builder b(g);
    ValueId table = b.state(b.add_tensor({"table", {DType::f32, {4, 6}}, Role::parameter}));
    ValueId tokens = b.input(b.add_tensor({"tokens", {DType::i32, {5}}, Role::input, pitch}));
    ValueId x = b.input(b.add_tensor({"x", {DType::f32, {5, 6}}, Role::input, pitch}));
    b.output("y", b.binary(OpCode::mul, b.take(table, tokens), x));
    b.output("tokens", tokens);
    Differential(std::move(g), 2, 5).check();
  }
}

TEST(OpsTable, EveryPrimitiveHasARow) {
  std::set<std::string> have;
  for (const Row& r : rows()) have.insert(r.name);
  for (size_t i = 0; i < op_code_count(); ++i)
    EXPECT_TRUE(have.count(std::string(op_info(static_cast<OpCode>(i)).name))) << op_info(static_cast<OpCode>(i)).name;
}

}  // namespace
}  // namespace mlc
