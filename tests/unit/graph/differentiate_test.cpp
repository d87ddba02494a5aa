#include "tests/unit/graph/harness.h"

#include "compiler/base/diagnostics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace mlc {
namespace {

using testing::ElementsAre;

struct DifferentiateTest : testing::Test {
  Graph graph = test::graph_of_batch(2);
  Builder b{graph};
  const std::optional<std::vector<int64_t>> all;

  ValueId sum(ValueId x) { return b.reduce(OpCode::reduce_sum, x, all, false, true); }
  std::vector<double> gradient(ValueId loss, ValueId x) {
    ValueId g = differentiate(graph, loss, {x})[0];
    verify(graph);
    return test::evaluate<double>(graph)[g].data;
  }
};

TEST_F(DifferentiateTest, TiesShare) {
  ValueId x = b.tensor_constant({2, 5, 5, 1}, {4}), y = b.tensor_constant({2, 4, 6, 1}, {4});
  EXPECT_THAT(gradient(sum(b.binary(OpCode::max, x, y)), x), ElementsAre(0.5, 1, 0, 0.5));
  EXPECT_THAT(gradient(sum(b.binary(OpCode::min, x, y)), y), ElementsAre(0.5, 1, 0, 0.5));
  EXPECT_THAT(gradient(b.reduce(OpCode::reduce_max, x, all, false, false), x), ElementsAre(0, 0.5, 0.5, 0));
}

TEST_F(DifferentiateTest, CornersFollowPyTorch) {
  ValueId x = b.tensor_constant({-1, 0, 2}, {3}), zero = b.constant(0);
  EXPECT_THAT(gradient(sum(b.unary(OpCode::abs, x)), x), ElementsAre(-1, 0, 1));
  EXPECT_THAT(gradient(sum(b.select(b.binary(OpCode::lt, zero, x), x, zero)), x), ElementsAre(0, 0, 1));
  ValueId base = b.tensor_constant({0, 0, 3}, {3}), exponent = b.tensor_constant({0, 2, 0}, {3});
  EXPECT_THAT(gradient(sum(b.binary(OpCode::pow, base, exponent)), base), ElementsAre(0, 0, 0));
  EXPECT_THAT(gradient(sum(b.binary(OpCode::pow, base, exponent)), exponent), ElementsAre(0, 0, std::log(3.0)));
}

TEST_F(DifferentiateTest, ProductsAreExactAtZeros) {
  ValueId x = b.tensor_constant({0, 2, 3, 0, 0, 5, 2, 3, 4}, {3, 3});
  ValueId loss = sum(b.reduce(OpCode::reduce_prod, x, std::vector<int64_t>{1}, false, false));
  EXPECT_THAT(gradient(loss, x), ElementsAre(6, 0, 0, 0, 0, 0, 12, 8, 6));
}

TEST_F(DifferentiateTest, ContributionsAddUpAndStopWhereTold) {
  ValueId x = b.tensor_constant({3}, {1});
  ValueId square = b.binary(OpCode::mul, x, x);
  EXPECT_THAT(gradient(sum(b.binary(OpCode::add, square, x)), x), ElementsAre(7));
  EXPECT_THAT(gradient(sum(b.binary(OpCode::mul, b.unary(OpCode::stop_gradient, square), x)), x), ElementsAre(9));
  ValueId whole = b.cast(b.cast(x, DType::i32), DType::f32);
  EXPECT_EQ(differentiate(graph, sum(whole), {x})[0], kNoValue);
}

TEST_F(DifferentiateTest, OnlyWhatIsAskedIsBuilt) {
  ValueId x = test::leaf(b, "x", {4}, false), w = test::leaf(b, "w", {4, 3}, true);
  ValueId loss = sum(b.matmul(x, w));
  size_t before = graph.ops.size();
  auto gradients = differentiate(graph, loss, {w, x});
  EXPECT_EQ(graph.type(gradients[0]).shape, (Shape{4, 3}));
  EXPECT_TRUE(graph.op(gradients[1]).per_sample);
  Graph other = graph;
  other.ops.resize(before);
  differentiate(other, loss, {w});
  EXPECT_LT(other.ops.size(), graph.ops.size());
}

TEST_F(DifferentiateTest, StatedGradientsReplaceTheRules) {
  // A straight-through rounding: y = round(2x), stated gradient 10 g for x, none for the second operand.
  ValueId x = b.tensor_constant({0.3, 0.6}, {2}), other = b.tensor_constant({1, 1}, {2});
  ValueId y = b.unary(OpCode::round, b.binary(OpCode::mul, x, b.binary(OpCode::add, other, other)));
  ValueId loss = sum(b.binary(OpCode::mul, y, x));
  CustomGradient stated{y, {x, other}, [&](ValueId g) { return std::vector<ValueId>{b.binary(OpCode::mul, g, b.constant(10)), kNoValue}; }};
  auto gradients = differentiate(graph, loss, {x, other}, {stated});
  EXPECT_EQ(gradients[1], kNoValue);
  EXPECT_THAT(test::evaluate<double>(graph)[gradients[0]].data, ElementsAre(1 + 10 * 0.3, 1 + 10 * 0.6));
}

TEST_F(DifferentiateTest, SecondDerivativesComeFromTheSameRules) {
  ValueId x = b.tensor_constant({0.5}, {1});
  ValueId first = differentiate(graph, sum(b.unary(OpCode::tanh, x)), {x})[0];
  double t = std::tanh(0.5);
  EXPECT_NEAR(gradient(sum(first), x)[0], -2 * t * (1 - t * t), 1e-12);
}

TEST_F(DifferentiateTest, GradientOpsKeepScopeAndPlace) {
  ValueId x = test::leaf(b, "x", {4}, true);
  b.enter("layer", {});
  b.at({1, 7, 2, 3});
  ValueId y = b.unary(OpCode::exp, x);
  b.leave(0);
  b.at({});
  ValueId g = differentiate(graph, sum(y), {x})[0];
  EXPECT_EQ(graph.scopes[static_cast<size_t>(graph.op(g).scope)].path, "layer");
  EXPECT_EQ(graph.op(g).loc.line, 7u);
}

TEST_F(DifferentiateTest, ALossIsOneNumber) {
  ValueId x = test::leaf(b, "x", {4}, false);
  EXPECT_THROW(differentiate(graph, x, {x}), InternalError);
}

}  // namespace
}  // namespace mlc
