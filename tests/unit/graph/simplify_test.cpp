#include "tests/unit/graph/harness.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/philox.h"
#include "compiler/base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

namespace mlc {
namespace {

using Build = std::function<ValueId(Builder&)>;

std::string expression(const Graph& graph, ValueId id) {
  const Op& op = graph.op(id);
  std::string out(op_info(op.code).name);
  if (op.code == OpCode::contract) out = op.attr.labels;
  if (op.code == OpCode::constant && op.attr.values.size() == 1) out = format_number(op.attr.values[0]);
  for (size_t i = 0; i < op.in.size(); ++i) out += (i ? ", " : "(") + expression(graph, op.in[i]);
  return out + (op.in.empty() ? "" : ")");
}

/// What a simplified graph with one output computes, and how many ops it has: "2 ops: neg(input)".
std::string simplified(const Build& build) {
  Graph graph = test::graph_of_batch(2);
  Builder b(graph);
  b.output("y", build(b));
  simplify(graph);
  verify(graph);
  std::string once = print_graph(graph);
  simplify(graph);
  EXPECT_EQ(print_graph(graph), once) << "simplify is not idempotent";
  return std::to_string(graph.ops.size()) + " ops: " + expression(graph, graph.stores[0].value);
}

ValueId x(Builder& b, Shape shape = {2, 3}) { return test::leaf(b, "x", std::move(shape), false); }
ValueId w(Builder& b, Shape shape = {2, 3}) { return test::leaf(b, "w", std::move(shape), true); }

TEST(Simplify, RemovesNoOps) {
  using O = OpCode;
  const std::vector<Build> cases = {
      [](Builder& b) { return b.binary(O::mul, x(b), b.constant(1)); },
      [](Builder& b) { return b.binary(O::mul, b.constant(1), x(b)); },
      [](Builder& b) { return b.binary(O::div, x(b), b.constant(1)); },
      [](Builder& b) { return b.binary(O::sub, x(b), b.constant(0)); },
      [](Builder& b) { return b.binary(O::add, x(b), b.constant(-0.0)); },
      [](Builder& b) { return b.binary(O::pow, x(b), b.constant(1)); },
      [](Builder& b) { return b.unary(O::neg, b.unary(O::neg, x(b))); },
      [](Builder& b) { return b.unary(O::stop_gradient, x(b)); },
      [](Builder& b) { return b.transpose(b.transpose(x(b), 0, 1), 0, 1); },
      [](Builder& b) { return b.reshape(b.reshape(x(b), {6}), {2, 3}); },
      [](Builder& b) { return b.select(b.constant(1, DType::boolean), x(b), b.constant(7)); },
      [](Builder& b) { return b.select(b.binary(O::lt, b.constant(2), b.constant(1)), b.constant(7), x(b)); },
      [](Builder& b) {
        auto v = x(b);
        return b.binary(O::max, v, v);
      },
      [](Builder& b) {
        auto v = x(b);
        return b.select(b.binary(O::lt, v, b.constant(0)), v, v);
      },
      [](Builder& b) { return b.reshape(x(b), {3, 1, 2}); },
  };
  for (size_t i = 0; i < cases.size(); ++i) EXPECT_EQ(simplified(cases[i]), "1 ops: input") << i;
}

TEST(Simplify, KeepsBits) {
  EXPECT_EQ(simplified([](Builder& b) { return b.binary(OpCode::add, x(b), b.constant(0)); }), "4 ops: add(input, broadcast(0))");
  EXPECT_EQ(simplified([](Builder& b) { return b.binary(OpCode::sub, b.constant(0), x(b)); }), "4 ops: sub(broadcast(0), input)");
  EXPECT_EQ(simplified([](Builder& b) {
              auto v = x(b);
              return b.binary(OpCode::eq, v, v);
            }),
            "2 ops: eq(input, input)");
  // 0 and -0 are two constants.
  EXPECT_EQ(
      simplified([](Builder& b) { return b.concat({b.constant(0, DType::f32, {1}), b.constant(-0.0, DType::f32, {1}), w(b, {1})}, 0); }),
      "4 ops: concat(0, -0, state)");
}

TEST(Simplify, FoldsConstantsInFloat) {
  Graph graph = test::graph_of_batch(1);
  Builder b(graph);
  ValueId tenth = b.binary(OpCode::add, b.constant(0.1), b.constant(0.2));
  b.output("a", b.binary(OpCode::mul, tenth, b.unary(OpCode::sqrt, b.constant(2))));
  b.output("b", b.binary(OpCode::mul, b.constant(100000, DType::i32), b.constant(100000, DType::i32)));
  b.output("c", b.slice(b.concat({b.tensor_constant({1, 2}, {2}), b.tensor_constant({3, 4}, {2})}, 0), 0, 1, 3));
  simplify(graph);
  verify(graph);
  ASSERT_EQ(graph.ops.size(), 3u);
  EXPECT_EQ(graph.ops[0].attr.values[0], static_cast<double>((0.1f + 0.2f) * std::sqrt(2.0f)));
  EXPECT_EQ(graph.ops[1].attr.values[0], 1410065408);
  EXPECT_EQ(graph.ops[2].attr.values, (std::vector<double>{2, 3}));
}

TEST(Simplify, MergesEqualValues) {
  EXPECT_EQ(simplified([](Builder& b) {
              auto v = x(b), u = w(b);
              auto first = b.binary(OpCode::add, v, u), second = b.binary(OpCode::add, u, v);
              return b.binary(OpCode::sub, first, second);
            }),
            "5 ops: sub(add(input, broadcast(state)), add(input, broadcast(state)))");
  // Different streams and different orders of a subtraction stay.
  EXPECT_EQ(simplified([](Builder& b) { return b.binary(OpCode::add, b.uniform({2}, 1, false), b.uniform({2}, 2, false)); }),
            "3 ops: add(uniform, uniform)");
  EXPECT_EQ(simplified([](Builder& b) { return b.binary(OpCode::add, b.uniform({2}, 1, false), b.uniform({2}, 1, false)); }),
            "2 ops: add(uniform, uniform)");
}

TEST(Simplify, ComputesBeforeRepeating) {
  EXPECT_EQ(simplified([](Builder& b) {
              auto scale = b.binary(OpCode::mul, b.broadcast_to(w(b, {3}), {2, 3}, true), b.broadcast_to(b.constant(2), {2, 3}, true));
              return b.binary(OpCode::add, x(b), scale);
            }),
            "7 ops: add(input, broadcast(mul(state, broadcast(2))))");
}

TEST(Simplify, FoldsTransposesIntoContractions) {
  EXPECT_EQ(simplified([](Builder& b) { return b.matmul(x(b, {4}), b.transpose(w(b, {5, 4}), 0, 1)); }), "3 ops: bi,oi->bo(input, state)");
  EXPECT_EQ(simplified([](Builder& b) { return b.matmul(b.transpose(x(b, {4, 3}), 0, 1), b.transpose(w(b, {5, 4}), 0, 1)); }),
            "3 ops: bim,oi->bmo(input, state)");
  EXPECT_EQ(simplified([](Builder& b) { return b.transpose(b.matmul(x(b, {3, 4}), w(b, {4, 5})), 0, 1); }),
            "3 ops: bmi,io->bom(input, state)");
}

TEST(Simplify, SinksReshapesIntoLeaves) {
  auto to_float = [](Builder& b, ValueId v) { return b.binary(OpCode::div, b.cast(v, DType::f32), b.constant(255)); };
  EXPECT_EQ(simplified([&](Builder& b) { return b.reshape(to_float(b, test::leaf(b, "x", {1, 4, 4}, false, DType::u8)), {16}); }),
            "5 ops: div(cast(input), broadcast(255))");
  // A chain of reshapes, and a parameter per row that keeps its axis.
  EXPECT_EQ(simplified([&](Builder& b) {
              ValueId v = b.binary(OpCode::add, b.reshape(to_float(b, x(b, {4, 4})), {2, 2, 4}), w(b, {2, 2, 1}));
              return b.reshape(v, {4, 4});
            }),
            "7 ops: add(div(input, broadcast(255)), broadcast(state))");
  // A parameter per column would have to be repeated first: the reshape stays.
  EXPECT_EQ(simplified([&](Builder& b) { return b.reshape(b.binary(OpCode::add, x(b, {4, 3}), w(b, {3})), {12}); }),
            "5 ops: reshape(add(input, broadcast(state)))");
  // A contraction's epilogue is not torn from it.
  EXPECT_EQ(simplified([&](Builder& b) { return b.reshape(b.unary(OpCode::exp, b.matmul(x(b, {4}), w(b, {4, 6}))), {2, 3}); }),
            "5 ops: reshape(exp(bi,io->bo(input, state)))");
  // Two reshapes around elementwise ops undo each other, be it over a reduction.
  EXPECT_EQ(simplified([&](Builder& b) {
              ValueId v = b.unary(OpCode::log, b.reduce(OpCode::reduce_sum, x(b), std::vector<int64_t>{1}, true, false));
              return b.reshape(b.binary(OpCode::mul, v, b.constant(3)), {2});
            }),
            "6 ops: mul(log(reduce_sum(input)), broadcast(3))");
  // A value with another reader is not computed twice.
  EXPECT_EQ(simplified([&](Builder& b) {
              ValueId v = b.unary(OpCode::exp, x(b));
              return b.binary(OpCode::add, b.reshape(v, {6}), b.reduce(OpCode::reduce_sum, v, {}, false, false));
            }),
            "6 ops: add(reshape(exp(input)), broadcast(reduce_sum(exp(input))))");
}

TEST(Simplify, ReshapesOfBroadcasts) {
  EXPECT_EQ(simplified([](Builder& b) { return b.reshape(b.broadcast_to(w(b, {6}), {4, 6}, true), {2, 2, 3, 2}); }),
            "2 ops: broadcast(state)");
  EXPECT_EQ(simplified([](Builder& b) { return b.reshape(b.broadcast_to(w(b, {4, 1}), {4, 6}, true), {2, 2, 3, 2}); }),
            "2 ops: broadcast(state)");
  EXPECT_EQ(simplified([](Builder& b) { return b.reshape(b.broadcast_to(w(b, {6}), {4, 6}, true), {24}); }),
            "3 ops: reshape(broadcast(state))");
  EXPECT_EQ(simplified([](Builder& b) { return b.permute(b.broadcast_to(w(b, {3, 1, 5}), {3, 4, 5}, true), {2, 1, 0}); }),
            "3 ops: broadcast(transpose(state))");
}

TEST(Simplify, DropsDeadOpsAndKeepsStores) {
  Graph graph = test::graph_of_batch(2);
  Builder b(graph);
  ValueId v = x(b), dead = b.unary(OpCode::exp, v), u = w(b);
  b.unary(OpCode::neg, dead);
  b.store(graph.find_tensor("w"), b.binary(OpCode::mul, u, b.constant(1)));
  b.output("z", v);
  simplify(graph);
  verify(graph);
  EXPECT_EQ(graph.ops.size(), 2u);
  EXPECT_EQ(graph.stores[0].value, 1u);
  EXPECT_EQ(graph.stores[1].value, 0u);
}

/// A random graph of elementwise, shape and reduce ops on small tensors.
Graph random_graph(uint32_t seed) {
  uint32_t draws = 0;
  auto below = [&](uint32_t n) { return philox_word(seed, 0, 0, 0, draws++) % n; };
  Graph graph = test::graph_of_batch(2);
  Builder b(graph);
  std::vector<ValueId> values = {x(b, {2, 3}),
                                 w(b, {2, 3}),
                                 b.constant(1),
                                 b.constant(0.5),
                                 b.constant(-0.0),
                                 b.constant(0),
                                 b.uniform({2, 3}, 5, false),
                                 b.tensor_constant({1, 2, 3}, {3})};
  const OpCode unary[] = {OpCode::neg, OpCode::abs, OpCode::exp, OpCode::tanh, OpCode::sign, OpCode::stop_gradient, OpCode::floor};
  const OpCode binary[] = {OpCode::add, OpCode::sub, OpCode::mul, OpCode::div, OpCode::max, OpCode::min, OpCode::add, OpCode::mul};
  const OpCode reduce[] = {OpCode::reduce_sum, OpCode::reduce_max, OpCode::reduce_prod, OpCode::reduce_min};
  for (int i = 0; i < 40; ++i) {
    ValueId a = values[below(static_cast<uint32_t>(values.size()))], c = values[below(static_cast<uint32_t>(values.size()))];
    int64_t rank = b.rank(a), axis = rank ? static_cast<int64_t>(below(static_cast<uint32_t>(rank))) : 0;
    ValueId next = a;
    try {
      switch (below(9)) {
      case 0: next = b.unary(unary[below(7)], a); break;
      case 1:
      case 2: next = b.binary(binary[below(8)], a, c); break;
      case 3: next = b.reshape(a, {-1}); break;
      case 4: next = b.reshape(a, {3, -1}); break;
      case 5: next = rank < 2 ? a : b.transpose(a, 0, -1); break;
      case 6: next = rank == 0 ? a : b.reduce(reduce[below(4)], a, std::vector<int64_t>{axis}, below(2) == 0, false); break;
      case 7: next = rank == 0 ? a : b.slice(a, axis, below(2), {}, 1 + below(2)); break;
      case 8: next = b.select(b.binary(OpCode::lt, a, c), a, c); break;
      }
    } catch (const SpecError&) {
      continue;  // shapes that do not fit
    }
    if (graph.type(next).elements() < 500) values.push_back(next);
  }
  for (size_t i = values.size() - 6; i < values.size(); ++i) b.output("y" + std::to_string(i), values[i]);
  return graph;
}

TEST(Simplify, RandomGraphsKeepTheirBits) {
  const float data[12] = {0.5f, -1, 0, -0.0f, 2, 3.25f, 1e30f, -1e-30f, 7, 1, -2, 0.1f};
  const int32_t rows[2] = {0, 1};
  for (uint32_t seed = 0; seed < 400; ++seed) {
    Graph graph = random_graph(seed);
    Graph small = graph;
    simplify(small);
    verify(small);
    std::string once = print_graph(small);
    simplify(small);
    ASSERT_EQ(print_graph(small), once) << seed;
    std::map<TensorId, Array<float>> state{{graph.find_tensor("w"), {{DType::f32, {2, 3}}, {1, -1, 0, 0.25f, -0.0f, 3}}}};
    StepInput<float> input;
    input.columns = {{graph.find_tensor("x"), data}};
    input.rows = rows;
    input.state = &state;
    auto before = interpret(graph, input), after = interpret(small, input);
    for (const auto& [tensor, value] : before)
      for (size_t i = 0; i < value.data.size(); ++i) {
        float a = value.data[i], c = after.at(tensor).data[i];
        ASSERT_TRUE((std::isnan(a) && std::isnan(c)) || std::memcmp(&a, &c, 4) == 0) << "seed " << seed << ": " << a << " and " << c;
      }
  }
}

}  // namespace
}  // namespace mlc
