// One row per primitive: its derivative against central differences in f64. A primitive without a row fails the test.
#include "tests/unit/graph/harness.h"

#include "compiler/graph/vjp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <set>

namespace mlc {
namespace {

using test::graph_of_batch;

constexpr int64_t kBatch = 3;

struct Operand {
  Shape shape;
  bool shared = false;
  double low = -2, high = 2;  ///< the domain; kinks keep their distance
  bool both_signs = false;    ///< mirror half of the draws
  DType dtype = DType::f32;
};

struct Row {
  OpCode code;
  std::string name;
  std::vector<Operand> operands;
  std::function<ValueId(Builder&, const std::vector<ValueId>&)> build;
};

Operand index_below(int64_t n, Shape shape, bool shared = false) {
  return {std::move(shape), shared, 0, static_cast<double>(n), false, DType::i32};
}

Row unary(OpCode code, double low = -2, double high = 2, bool both_signs = false) {
  return {code, "", {{{4}, false, low, high, both_signs}}, [code](Builder& b, auto& x) { return b.unary(code, x[0]); }};
}

Row binary(OpCode code, Operand a = {{4}}, Operand c = {{4}}) {
  return {code, "", {std::move(a), std::move(c)}, [code](Builder& b, auto& x) { return b.binary(code, x[0], x[1]); }};
}

Row on(OpCode code, std::string name, std::vector<Operand> operands, std::function<ValueId(Builder&, const std::vector<ValueId>&)> build) {
  return {code, std::move(name), std::move(operands), std::move(build)};
}

Row reduction(OpCode code, std::string name, Operand x, std::optional<std::vector<int64_t>> dims, bool keepdim, bool batch) {
  return on(code, std::move(name), {std::move(x)}, [=](Builder& b, auto& in) { return b.reduce(code, in[0], dims, keepdim, batch); });
}

/// Windows of every kind: strides that leave inputs out, uneven padding, dilation, groups, one to three axes.
void add_windows(std::vector<Row>& out) {
  using O = OpCode;
  const Window plain{{2, 2}, {1, 1}, {1, 1}, {{0, 0}, {0, 0}}}, strided{{3, 2}, {2, 3}, {1, 1}, {{1, 0}, {1, 1}}};
  const Window dilated{{2, 3}, {2, 1}, {2, 2}, {{2, 1}, {1, 3}}, 2}, line{{3}, {2}, {1}, {{1, 2}}},
      cube{{2, 2, 2}, {1, 2, 1}, {1, 1, 1}, {{1, 0}, {0, 1}, {0, 0}}};
  struct Case {
    std::string name;
    Shape image, weights;
    Window window;
  };
  const Case cases[] = {{"plain", {2, 3, 4}, {3, 2, 2, 2}, plain},
                        {"strided", {2, 5, 6}, {2, 2, 3, 2}, strided},
                        {"dilated, in groups", {4, 4, 5}, {2, 2, 2, 3}, dilated},
                        {"one axis", {2, 6}, {3, 2, 3}, line},
                        {"three axes", {1, 3, 4, 2}, {2, 1, 2, 2, 2}, cube}};
  for (const Case& c : cases) {
    for (bool shared : {false, true})
      out.push_back(on(O::conv, c.name + (shared ? ", shared" : ""), {{c.image, shared}, {c.weights, true}},
                       [c](Builder& b, auto& x) { return b.conv(x[0], x[1], c.window); }));
    Shape swapped = c.weights, image = c.image;
    image[0] = c.weights[0];
    out.push_back(on(O::conv_dgrad, c.name, {{image}, {swapped, true}}, [c](Builder& b, auto& x) {
      std::vector<int64_t> extra(c.window.stride.size(), 0);
      extra.back() = c.window.stride.back() - 1;
      return b.conv_transpose(x[0], x[1], c.window, extra);
    }));
    out.push_back(on(O::conv_wgrad, c.name, {{c.image}, {c.weights, true}, {{}}}, [c](Builder& b, auto& x) {
      ValueId y = b.conv(x[0], x[1], c.window);
      ValueId g = b.binary(OpCode::add, y, b.binary(OpCode::mul, y, x[2]));
      Attributes attr = b.graph().op(y).attr;
      return b.add(OpCode::conv_wgrad, {x[0], g}, attr, Type{DType::f32, c.weights});
    }));
    Window w = c.window;
    w.size = Shape(c.weights.begin() + 2, c.weights.end()), w.groups = 1;
    out.push_back(on(O::window_sum, c.name, {{c.image}}, [w](Builder& b, auto& x) { return b.window(OpCode::window_sum, x[0], w); }));
    out.push_back(on(O::window_sum_grad, c.name, {{c.image}}, [w](Builder& b, auto& x) {
      ValueId y = b.window(OpCode::window_sum, x[0], w);
      return b.add(OpCode::window_sum_grad, {b.binary(OpCode::mul, y, y)}, b.graph().op(y).attr, b.graph().type(x[0]));
    }));
  }
  const Window pool{{3, 2}, {2, 1}, {1, 1}, {{1, 1}, {0, 1}}};
  const Operand image{{2, 5, 4}};
  out.push_back(on(O::window_max, "", {image}, [pool](Builder& b, auto& x) { return b.window(OpCode::window_max, x[0], pool); }));
  auto indices = [pool](Builder& b, ValueId x) {
    ValueId y = b.window(OpCode::window_max, x, pool);
    return b.add(OpCode::window_argmax, {x}, b.graph().op(y).attr);
  };
  out.push_back(on(O::window_argmax, "", {image}, [indices](Builder& b, auto& x) { return indices(b, x[0]); }));
  out.push_back(on(O::window_pick, "", {image, image}, [indices](Builder& b, auto& x) {
    ValueId i = indices(b, x[1]);
    return b.binary(OpCode::add, b.add(OpCode::window_pick, {x[0], i}, b.graph().op(i).attr),
                    b.window(OpCode::window_max, x[1], {{3, 2}, {2, 1}, {1, 1}, {{1, 1}, {0, 1}}}));
  }));
  out.push_back(on(O::window_scatter, "", {image}, [indices](Builder& b, auto& x) {
    ValueId i = indices(b, x[0]);
    ValueId y = b.window(OpCode::window_max, x[0], {{3, 2}, {2, 1}, {1, 1}, {{1, 1}, {0, 1}}});
    return b.add(OpCode::window_scatter, {b.binary(OpCode::mul, y, y), i}, b.graph().op(i).attr, b.graph().type(x[0]));
  }));
}

/// Images read at places inside, at the border and outside; per sample, shared, and without slopes.
void add_resampled(std::vector<Row>& out) {
  using O = OpCode;
  struct Case {
    const char* name;
    bool image, places;   // shared
  };
  const Operand across{{3, 4}, false, -1.4, 5.4}, down{{3, 4}, false, -1.4, 4.4};
  for (const Case& c :
       {Case{"per sample", false, false}, {"shared places", false, true}, {"shared", true, true}, {"shared image", true, false}}) {
    Operand image{{2, 4, 5}, c.image}, x = across, y = down;
    x.shared = y.shared = c.places;
    out.push_back(on(O::resample, c.name, {image, x, y}, [](Builder& b, auto& in) { return b.resample(in[0], in[1], in[2], true); }));
    if (c.image) continue;   // one of all samples has a gradient through its broadcast
    out.push_back(on(O::resample_grad, c.name, {{{2, 3, 4}}, x, y}, [](Builder& b, auto& in) {
      return b.add(O::resample_grad, {in[0], in[1], in[2]}, {.labels = "bilinear"}, Type{DType::f32, {kBatch, 2, 4, 5}});
    }));
  }
  auto places = [](Builder& b, double scale) {
    return b.binary(O::mul, b.broadcast_to(b.iota(4, DType::f32), {3, 4}, false), b.constant(scale));
  };
  out.push_back(on(O::resample, "nearest", {{{2, 4, 5}}},
                   [places](Builder& b, auto& in) { return b.resample(in[0], places(b, 1.3), places(b, 0.7), false); }));
  out.push_back(on(O::resample_grad, "nearest", {{{2, 3, 4}}}, [places](Builder& b, auto& in) {
    return b.add(O::resample_grad, {in[0], places(b, 1.3), places(b, 0.7)}, {.labels = "nearest"}, Type{DType::f32, {kBatch, 2, 4, 5}});
  }));
}

std::vector<Row> rows() {
  using O = OpCode;
  const Operand positive{{4}, false, 0.3, 2}, apart{{4}, false, 2.5, 4};
  std::vector<Row> out = {
      on(O::constant, "", {}, [](Builder& b, auto&) { return b.constant(2.5); }),
      on(O::iota, "", {}, [](Builder& b, auto&) { return b.iota(4, DType::f32); }),
      on(O::input, "", {{{4}}}, [](Builder&, auto& x) { return x[0]; }),
      on(O::state, "", {{{4}, true}}, [](Builder&, auto& x) { return x[0]; }),
      on(O::scalar, "", {}, [](Builder& b, auto&) { return b.scalar(b.add_scalar({"s", {{{HostFormula::Op::number, 1}}}})); }),
      on(O::uniform, "", {}, [](Builder& b, auto&) { return b.uniform({4}, 1, false); }),
      on(O::normal, "", {}, [](Builder& b, auto&) { return b.normal({4}, 1, true); }),
      unary(O::neg),
      unary(O::abs, 0.2, 2, true),
      unary(O::sign, 0.2, 2, true),
      unary(O::exp),
      unary(O::expm1),
      unary(O::log, 0.3, 3),
      unary(O::log1p, -0.5, 2),
      unary(O::sqrt, 0.3, 3),
      unary(O::rsqrt, 0.3, 3),
      unary(O::sin),
      unary(O::cos),
      unary(O::tanh),
      unary(O::erf),
      unary(O::sigmoid),
      unary(O::floor, 0.1, 0.9),
      unary(O::round, 0.1, 0.4),
      unary(O::isnan),
      unary(O::logical_not),
      unary(O::stop_gradient),
      unary(O::copy),
      on(O::cast, "to bf16 and back", {{{4}}}, [](Builder& b, auto& x) { return b.cast(b.cast(x[0], DType::bf16), DType::f32); }),
      on(O::cast, "to i32", {{{4}}}, [](Builder& b, auto& x) { return b.cast(x[0], DType::i32); }),
      binary(O::add),
      binary(O::add, {{2, 4}}, {{4}, true}),
      binary(O::add, {{2, 1}, true}, {{3}}),
      binary(O::sub),
      binary(O::mul),
      binary(O::mul, {{}, true}, {{2, 3}}),
      binary(O::div, {{4}}, {{4}, false, 0.5, 2, true}),
      binary(O::div, {{3}, true}, {{2, 1}, false, 0.5, 2}),
      binary(O::floordiv, positive, apart),
      binary(O::mod, positive, apart),
      binary(O::mod, {{4}, false, 4.2, 4.8}, {{4}, true, 1.5, 2}),
      binary(O::max, positive, apart),
      binary(O::max, apart, positive),
      binary(O::min, positive, apart),
      binary(O::min, apart, positive),
      binary(O::pow, positive, {{4}}),
      binary(O::pow, positive, {{1}, true, 2, 3}),
      binary(O::eq),
      binary(O::ne),
      binary(O::lt),
      binary(O::le),
      binary(O::logical_and),
      binary(O::logical_or),
      on(O::select, "", {{{4}, false, 0, 2, false, DType::boolean}, {{4}}, {{2, 4}, true}},
         [](Builder& b, auto& x) { return b.select(x[0], x[1], x[2]); }),
      on(O::broadcast, "shared to samples", {{{3}, true}}, [](Builder& b, auto& x) { return b.broadcast_to(x[0], {2, 3}, true); }),
      on(O::broadcast, "axis of 1", {{{2, 1, 3}}}, [](Builder& b, auto& x) { return b.broadcast_to(x[0], {2, 5, 3}, true); }),
      on(O::broadcast, "all at once", {{{1, 3, 1}, true}}, [](Builder& b, auto& x) { return b.broadcast_to(x[0], {2, 4, 3, 2}, false); }),
      on(O::reshape, "", {{{2, 3}}}, [](Builder& b, auto& x) { return b.reshape(x[0], {3, -1}); }),
      on(O::transpose, "", {{{2, 3, 4}}}, [](Builder& b, auto& x) { return b.permute(x[0], {2, 0, 1}); }),
      on(O::slice, "", {{{2, 7}}}, [](Builder& b, auto& x) { return b.slice(x[0], 1, 2, -1); }),
      on(O::slice, "step 2", {{{7, 2}}}, [](Builder& b, auto& x) { return b.slice(x[0], 0, 1, {}, 2); }),
      on(O::slice, "step 3 to the end", {{{7}}}, [](Builder& b, auto& x) { return b.slice(x[0], -1, {}, {}, 3); }),
      on(O::slice, "step beyond the end", {{{8}, true}}, [](Builder& b, auto& x) { return b.slice(x[0], 0, 2, {}, 5); }),
      on(O::pad, "", {{{2, 3}}}, [](Builder& b, auto& x) { return b.pad(x[0], {{0, 1}, {2, 0}}, 5); }),
      on(O::concat, "", {{{2, 3}}, {{2, 1}, true}}, [](Builder& b, auto& x) { return b.concat({x[0], x[1], x[0]}, -1); }),
      reduction(O::reduce_sum, "", {{2, 3}}, std::vector<int64_t>{1}, false, false),
      reduction(O::reduce_sum, "over the batch", {{2, 3}}, std::vector<int64_t>{}, false, true),
      reduction(O::reduce_sum, "all", {{2, 3}}, {}, true, true),
      reduction(O::reduce_max, "", {{2, 3}}, std::vector<int64_t>{0}, true, false),
      reduction(O::reduce_max, "over the batch", {{2, 3}}, std::vector<int64_t>{-1}, false, true),
      reduction(O::reduce_min, "", {{2, 3}}, {}, false, false),
      reduction(O::reduce_min, "shared", {{2, 3}, true}, {}, false, true),
      reduction(O::reduce_prod, "", {{2, 4}, false, 0.3, 2, true}, std::vector<int64_t>{1}, false, false),
      reduction(O::reduce_prod, "over the batch", {{2}, false, 0.3, 2}, {}, false, true),
      on(O::argmax, "", {{{2, 3}}}, [](Builder& b, auto& x) { return b.argmax(x[0], -1, false); }),
      on(O::cumsum, "", {{{2, 4}}}, [](Builder& b, auto& x) { return b.cumsum(x[0], 0); }),
      on(O::cumsum, "last axis", {{{2, 4}}}, [](Builder& b, auto& x) { return b.cumsum(x[0], 1); }),
      on(O::take, "", {{{5, 2}, true}, index_below(5, {3})}, [](Builder& b, auto& x) { return b.take(x[0], x[1]); }),
      on(O::take, "shared index", {{{5}, true}, index_below(5, {2, 3}, true)}, [](Builder& b, auto& x) { return b.take(x[0], x[1]); }),
      on(O::take_grad, "", {{{3, 2}}, index_below(4, {3})},
         [](Builder& b, auto& x) { return b.add(OpCode::take_grad, {x[0], x[1]}, {}, Type{DType::f32, {4, 2}}); }),
      on(O::pick, "", {{{2, 5}}, index_below(5, {2})}, [](Builder& b, auto& x) { return b.pick(x[0], x[1], -1); }),
      on(O::pick, "shared values", {{{5, 2}, true}, index_below(5, {2})}, [](Builder& b, auto& x) { return b.pick(x[0], x[1], 0); }),
  };
  add_windows(out);
  add_resampled(out);
  const std::pair<Operand, Operand> products[] = {
      {{{4}}, {{4, 2}, true}},
      {{{3, 4}}, {{4, 2}, true}},
      {{{3, 4}}, {{4, 2}}},
      {{{3, 4}, true}, {{4, 2}}},
      {{{4}}, {{4}}},
      {{{4}, true}, {{4}}},
      {{{3, 4}, true}, {{4}, true}},
      {{{2, 3, 4}}, {{2, 4, 5}, true}},
      {{{2, 1, 3, 4}}, {{5, 4, 2}}},
      {{{1, 3, 4}, true}, {{2, 4, 1}}},
      {{{2, 2, 3}}, {{3}}},
  };
  for (const auto& [a, c] : products)
    out.push_back(on(O::contract, format_type({DType::f32, a.shape}) + " by " + format_type({DType::f32, c.shape}), {a, c},
                     [](Builder& b, auto& x) { return b.matmul(x[0], x[1]); }));
  return out;
}

std::vector<double> draw(const Operand& o, int64_t count, std::mt19937& random) {
  std::uniform_real_distribution<double> in(o.low, o.high);
  std::vector<double> out(static_cast<size_t>(count));
  for (double& v : out) {
    v = in(random);
    if (!is_float(o.dtype)) v = std::floor(v);
    if (o.both_signs && random() % 2) v = -v;
  }
  return out;
}

void check_row(const Row& row) {
  SCOPED_TRACE(std::string(op_info(row.code).name) + " " + row.name);
  Graph graph = graph_of_batch(kBatch);
  Builder b(graph);
  std::mt19937 random(11);
  std::map<ValueId, std::vector<double>> given;
  std::vector<ValueId> in, wrt;
  for (size_t i = 0; i < row.operands.size(); ++i) {
    const Operand& o = row.operands[i];
    in.push_back(test::leaf(b, "x" + std::to_string(i), o.shape, o.shared, o.dtype));
    given[in.back()] = draw(o, graph.type(in.back()).elements(), random);
    if (is_float(o.dtype)) wrt.push_back(in.back());
  }
  ValueId y = row.build(b, in);
  bool found = false;
  for (const Op& op : graph.ops) found |= op.code == row.code;
  ASSERT_TRUE(found) << "the row does not build its op";

  // The loss weighs the elements of y by fixed random numbers.
  ValueId weights = test::leaf(b, "weights", b.sample_shape(y), !graph.op(y).per_sample);
  given[weights] = draw({{}, false, 0.5, 1.5, true}, graph.type(y).elements(), random);
  ValueId loss = b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, y, weights), {}, false, true);
  size_t forward_size = graph.ops.size();
  std::vector<ValueId> gradients = differentiate(graph, loss, wrt);
  verify(graph);
  auto values = test::evaluate<double>(graph, given);
  Graph forward = graph;
  forward.ops.resize(forward_size);

  for (size_t i = 0; i < wrt.size(); ++i) {
    bool leaf = y == wrt[i];
    bool constant = !leaf && (!is_differentiable(row.code) || !is_float(graph.type(y).dtype));
    ASSERT_EQ(gradients[i] == kNoValue, constant);
    if (constant) continue;
    const std::vector<double> x = given[wrt[i]];
    for (size_t j = 0; j < x.size(); ++j) {
      double h = 1e-6 * std::max(1.0, std::fabs(x[j]));
      auto at = [&](double v) {
        auto moved = given;
        moved[wrt[i]][j] = v;
        return test::evaluate<double>(forward, moved)[loss].data[0];
      };
      double expected = (at(x[j] + h) - at(x[j] - h)) / (2 * h), found_value = values[gradients[i]].data[j];
      double scale = std::max({1.0, std::fabs(expected), std::fabs(values[loss].data[0])});
      ASSERT_NEAR(found_value, expected, 1e-6 * scale) << "operand " << i << " element " << j;
    }
  }
}

TEST(Conformance, GradientsAgreeWithCentralDifferences) {
  for (const Row& row : rows()) check_row(row);
}

TEST(Conformance, EveryPrimitiveHasARow) {
  std::set<OpCode> seen;
  for (const Row& row : rows()) seen.insert(row.code);
  for (size_t i = 0; i < op_code_count(); ++i)
    EXPECT_TRUE(seen.count(static_cast<OpCode>(i))) << op_info(static_cast<OpCode>(i)).name << " has no row";
}

}  // namespace
}  // namespace mlc
