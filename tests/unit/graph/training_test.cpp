#include "tests/unit/graph/harness.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mlc {
namespace {

/// 4 inputs, 8 hidden units with relu, 3 classes, cross entropy, gradient descent: one whole training step.
Graph training_step(int64_t batch) {
  Graph graph = test::graph_of_batch(batch);
  Builder b(graph);
  const std::optional<std::vector<int64_t>> all;
  ValueId x = test::leaf(b, "x", {2, 2}, false), y = test::leaf(b, "y", {}, false, DType::i64);
  std::vector<ValueId> parameters;
  auto linear = [&](const std::string& name, ValueId in, int64_t from, int64_t to) {
    ScopeId former = b.enter(name, {});
    ValueId w = test::leaf(b, name + ".weight", {to, from}, true), bias = test::leaf(b, name + ".bias", {to}, true);
    parameters.insert(parameters.end(), {w, bias});
    ValueId out = b.binary(OpCode::add, b.matmul(in, b.transpose(w, 0, 1)), bias);
    b.leave(former);
    return out;
  };
  ValueId hidden = linear("linear1", b.reshape(b.binary(OpCode::mul, x, b.constant(0.5)), {-1}), 4, 8);
  hidden = b.select(b.binary(OpCode::lt, b.constant(0), hidden), hidden, b.constant(0));
  ValueId logits = linear("linear2", hidden, 8, 3);
  const std::vector<int64_t> last{-1};
  ValueId shifted = b.binary(OpCode::sub, logits, b.reduce(OpCode::reduce_max, logits, last, true, false));
  ValueId total = b.unary(OpCode::log, b.reduce(OpCode::reduce_sum, b.unary(OpCode::exp, shifted), last, true, false));
  ValueId picked = b.pick(b.binary(OpCode::sub, shifted, total), y, -1);
  ValueId loss = b.unary(OpCode::neg, b.binary(OpCode::div, b.reduce(OpCode::reduce_sum, picked, all, false, true),
                                               b.constant(static_cast<double>(b.reduced_count(picked, all, true)))));
  std::vector<ValueId> gradients = differentiate(graph, loss, parameters);
  ValueId lr = b.scalar(b.add_scalar({"lr", {{{HostFormula::Op::variable, 0, 0}}}}));
  for (size_t i = 0; i < parameters.size(); ++i)
    b.store(graph.op(parameters[i]).attr.tensor, b.binary(OpCode::sub, parameters[i], b.binary(OpCode::mul, lr, gradients[i])));
  b.output("loss", loss);
  return graph;
}

/// The losses of some steps on separable data.
template <class T> std::vector<double> train(const Graph& graph, int steps) {
  std::vector<float> x;
  std::vector<int64_t> y;
  std::vector<int32_t> rows;
  for (int i = 0; i < graph.batch; ++i) {
    int c = i % 3;
    for (int j = 0; j < 4; ++j) x.push_back(static_cast<float>((j == c) * 2.0 + 0.3 * std::sin(i * 4 + j)));
    y.push_back(c);
    rows.push_back(i);
  }
  std::map<TensorId, Array<T>> state;
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const Tensor& tensor = graph.tensors[i];
    if (tensor.role != Role::parameter) continue;
    Array<T>& values = state[static_cast<TensorId>(i)] = make_array<T>(tensor.type);
    for (size_t j = 0; j < values.data.size(); ++j) values.data[j] = static_cast<T>(0.5 * std::sin(static_cast<double>(3 * i + j)));
  }
  StepInput<T> input;
  input.columns = {{graph.find_tensor("x"), x.data()}, {graph.find_tensor("y"), y.data()}};
  input.rows = rows.data();
  input.scalars = {0.5};
  input.state = &state;
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) {
    input.step = static_cast<uint32_t>(i);
    losses.push_back(interpret(graph, input).at(graph.find_tensor("loss")).data[0]);
  }
  return losses;
}

TEST(Training, LossFallsAndSimplifyChangesNothing) {
  Graph graph = training_step(24);
  verify(graph);
  std::vector<double> single = train<float>(graph, 60), twice = train<double>(graph, 60);
  EXPECT_GT(single[0], 0.5);
  EXPECT_LT(single.back(), 0.05);
  for (size_t i = 0; i < single.size(); ++i) EXPECT_NEAR(single[i], twice[i], 1e-4);
  Graph small = graph;
  simplify(small);
  verify(small);
  EXPECT_LT(small.ops.size(), graph.ops.size());
  EXPECT_EQ(train<float>(small, 60), single);
}

}  // namespace
}  // namespace mlc
