// Passes and services on whole graphs.
#pragma once
#include "compiler/graph/ir.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace mlc {

/// Reverse-mode derivative. Appends the cotangents of `wrt` (values of the graph) for a scalar value `loss`; returns one
/// value per entry of `wrt`, kNoValue where the loss does not depend on it through differentiable ops. Rules are the table vjp.def.
/// `custom` holds stated gradients (`grad:` of a definition): result value -> rule giving operand cotangents.
struct CustomGradient {
  ValueId result = kNoValue;
  std::vector<ValueId> operands;                                  ///< boundary: differentiation continues from these
  std::function<std::vector<ValueId>(ValueId cotangent)> rule;    ///< one cotangent per operand; kNoValue for none
};
std::vector<ValueId> differentiate(Graph& graph, ValueId loss, const std::vector<ValueId>& wrt,
                                   const std::vector<CustomGradient>& custom = {});

/// Folds constants, removes no-ops (x * 1, double transposes, identity reshapes; stop_gradient, so this is for graphs
/// whose derivative has been taken), merges equal values, computes before repeating (f(broadcast(x)) is
/// broadcast(f(x))), folds transposes into contractions, sinks reshapes into leaves, drops what no store needs. Bits of
/// the results stay as they are. Idempotent, near linear; ops keep their order.
void simplify(Graph& graph);

/// Row-major dense values for the interpreter; element type given by the op, held as T (float or double). Integers are
/// exact up to 2^24 in float, 2^53 in double; greater ones in an input column are a RuntimeError.
template <class T> struct Array {
  Type type;
  std::vector<T> data;
};

/// What a step reads. Input columns are raw bytes in the tensor's dtype, row-contiguous.
template <class T> struct StepInput {
  std::map<TensorId, const void*> columns;
  const int32_t* rows = nullptr;                   ///< graph.batch of them
  std::vector<double> scalars;                     ///< per Graph::scalars
  std::map<TensorId, Array<T>>* state = nullptr;   ///< read, and written by the stores at the end
  uint64_t seed = 0;
  uint32_t step = 0;
};

/// Runs the graph op by op, naively, in T. Returns the values of Role::output tensors. f32 semantics of every op are
/// those of ops.def; in double they are the reference. Throws RuntimeError where an index is out of range.
template <class T> std::map<TensorId, Array<T>> interpret(const Graph& graph, const StepInput<T>& input);
/// The same, but returns every op's value (tests, constant folding).
template <class T> std::vector<Array<T>> interpret_all(const Graph& graph, const StepInput<T>& input);

}  // namespace mlc
