// Values of single ops: the parts of the interpreter, one file per class of op. Also serves constant folding.
#pragma once
#include "compiler/graph/graph.h"

namespace mlc {

/// What an op reads beside its operands.
template <class T> struct Frame {
  const Graph& graph;
  const StepInput<T>& input;
};

template <class T> using Operands = std::vector<const Array<T>*>;

/// The value of one op; its operands have the types that the graph says.
template <class T> Array<T> evaluate_op(const Frame<T>& frame, const Op& op, const Operands<T>& in);

template <class T> Array<T> evaluate_leaf(const Frame<T>& frame, const Op& op);
template <class T> Array<T> evaluate_elementwise(const Op& op, const Operands<T>& in);
template <class T> Array<T> evaluate_shape(const Op& op, const Operands<T>& in);
template <class T> Array<T> evaluate_reduce(const Op& op, const Operands<T>& in);
template <class T> Array<T> evaluate_contract(const Op& op, const Operands<T>& in);
template <class T> Array<T> evaluate_lookup(const Frame<T>& frame, const Op& op, const Operands<T>& in);
template <class T> Array<T> evaluate_window(const Graph& graph, const Op& op, const Operands<T>& in);

/// Wraps to 32 bits, as machines do.
inline int64_t wrap_i32(int64_t x) { return static_cast<int32_t>(static_cast<uint32_t>(x)); }

template <class T> Array<T> make_array(const Type& type, T fill = T(0)) {
  return {type, std::vector<T>(static_cast<size_t>(type.elements()), fill)};
}

using Strides = std::vector<int64_t>;

inline Strides row_major(const Shape& shape) {
  Strides strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i]) strides[i] = stride;
  return strides;
}

/// Calls f(offset) for every index of `shape` in row-major order, with offset = base + sum of index * stride.
template <class F> void walk(const Shape& shape, const Strides& strides, int64_t base, F&& f) {
  if (shape.empty()) return f(base);
  size_t last = shape.size() - 1;
  std::vector<int64_t> index(shape.size(), 0);
  int64_t offset = base, extent = shape[last], stride = strides[last];
  for (;;) {
    for (int64_t i = 0, at = offset; i < extent; ++i, at += stride) f(at);
    size_t axis = last;
    for (; axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
    if (axis == static_cast<size_t>(-1)) return;
  }
}

}  // namespace mlc
