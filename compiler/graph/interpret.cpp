#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"

#include <cmath>
#include <cstring>

namespace mlc {
namespace {

/// Rounds to the nearest bf16, ties to even.
float round_bf16(float x) {
  if (std::isnan(x)) return x;
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000u;
  std::memcpy(&x, &bits, 4);
  return x;
}

/// Evaluates all ops in order; `done(id)` is told after each one.
template <class T, class F> std::vector<Array<T>> run(const Graph& graph, const StepInput<T>& input, F done) {
  Frame<T> frame{graph, input};
  std::vector<Array<T>> values(graph.ops.size());
  Operands<T> in;
  for (ValueId id = 0; id < graph.ops.size(); ++id) {
    in.clear();
    for (ValueId operand : graph.ops[id].in) in.push_back(&values[operand]);
    values[id] = evaluate_op(frame, graph.ops[id], in);
    done(values, id);
  }
  return values;
}

}  // namespace

template <class T> Array<T> evaluate_op(const Frame<T>& frame, const Op& op, const Operands<T>& in) {
  auto evaluate = [&] {
    switch (op_info(op.code).cls) {
    case OpClass::leaf: return evaluate_leaf(frame, op);
    case OpClass::unary:
    case OpClass::binary:
    case OpClass::select: return evaluate_elementwise(op, in);
    case OpClass::shape: return evaluate_shape(op, in);
    case OpClass::reduce: return evaluate_reduce(op, in);
    case OpClass::contract: return evaluate_contract(op, in);
    case OpClass::lookup: return evaluate_lookup(frame, op, in);
    case OpClass::window: return evaluate_window(frame.graph, op, in);
    }
    throw InternalError("interpreter: unknown class of op");
  };
  Array<T> value = evaluate();
  if (op.type.dtype == DType::bf16 && sizeof(T) == 4)
    for (T& x : value.data) x = static_cast<T>(round_bf16(static_cast<float>(x)));
  return value;
}

template <class T> std::map<TensorId, Array<T>> interpret(const Graph& graph, const StepInput<T>& input) {
  std::vector<ValueId> last(graph.ops.size());
  for (ValueId id = 0; id < graph.ops.size(); ++id) {
    last[id] = id;
    for (ValueId operand : graph.ops[id].in) last[operand] = id;
  }
  constexpr ValueId kStored = kNoValue;
  for (const Store& store : graph.stores) last[store.value] = kStored;
  // A value dies with its last reader.
  auto values = run(graph, input, [&](std::vector<Array<T>>& all, ValueId id) {
    for (ValueId operand : graph.ops[id].in)
      if (last[operand] == id) std::vector<T>().swap(all[operand].data);
    if (last[id] == id) std::vector<T>().swap(all[id].data);
  });
  std::map<TensorId, Array<T>> outputs;
  for (const Store& store : graph.stores) {
    bool output = graph.tensors[static_cast<size_t>(store.tensor)].role == Role::output;
    ensure(output || input.state, "interpreter: the state is missing");
    (output ? outputs : *input.state)[store.tensor] = values[store.value];
  }
  return outputs;
}

template <class T> std::vector<Array<T>> interpret_all(const Graph& graph, const StepInput<T>& input) {
  return run(graph, input, [](const std::vector<Array<T>>&, ValueId) {});
}

template Array<float> evaluate_op(const Frame<float>&, const Op&, const Operands<float>&);
template Array<double> evaluate_op(const Frame<double>&, const Op&, const Operands<double>&);
template std::map<TensorId, Array<float>> interpret(const Graph&, const StepInput<float>&);
template std::map<TensorId, Array<double>> interpret(const Graph&, const StepInput<double>&);
template std::vector<Array<float>> interpret_all(const Graph&, const StepInput<float>&);
template std::vector<Array<double>> interpret_all(const Graph&, const StepInput<double>&);

}  // namespace mlc
