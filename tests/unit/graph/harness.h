// Evaluates graphs on given leaf values, for tests.
#pragma once
#include "compiler/graph/builder.h"
#include "compiler/graph/evaluate.h"
#include "compiler/graph/graph.h"

#include <map>
#include <string>

namespace mlc::test {

/// All values of a graph in T, where `given` replaces the values of some ops.
template <class T> std::vector<Array<T>> evaluate(const Graph& graph, const std::map<ValueId, std::vector<T>>& given = {}) {
  StepInput<T> input;
  input.seed = 7;
  input.step = 3;
  input.scalars.assign(graph.scalars.size(), 0.5);
  Frame<T> frame{graph, input};
  std::vector<Array<T>> values(graph.ops.size());
  for (ValueId id = 0; id < graph.ops.size(); ++id) {
    const Op& op = graph.ops[id];
    Operands<T> in;
    for (ValueId operand : op.in) in.push_back(&values[operand]);
    auto found = given.find(id);
    values[id] = found != given.end() ? Array<T>{op.type, found->second} : evaluate_op(frame, op, in);
  }
  return values;
}

/// A per-sample input or shared parameter of this sample shape.
inline ValueId leaf(Builder& b, const std::string& path, Shape shape, bool shared, DType dtype = DType::f32) {
  TensorId tensor = b.add_tensor({path, {dtype, std::move(shape)}, shared ? Role::parameter : Role::input});
  return shared ? b.state(tensor) : b.input(tensor);
}

inline Graph graph_of_batch(int64_t batch) {
  Graph graph;
  graph.name = "test";
  graph.batch = batch;
  return graph;
}

/// Parses text, for tests of passes.
inline Graph parse(const std::string& text) {
  Sources sources;
  uint32_t file = sources.add("test.mlc", text);
  return parse_graph(sources, file);
}

}  // namespace mlc::test
