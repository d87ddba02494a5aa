#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"

namespace mlc {
namespace {

template <class T> size_t checked_index(const Frame<T>& frame, const Op& op, T index, int64_t count) {
  if (index >= 0 && index < static_cast<T>(count)) return static_cast<size_t>(index);
  const std::string& scope = frame.graph.scopes[static_cast<size_t>(op.scope)].path;
  throw RuntimeError("index " + std::to_string(static_cast<long long>(index)) + " is outside 0.." +
                     std::to_string(count - 1) + (scope.empty() ? "" : " in `" + scope + "`") +
                     ": look for a wrong label or class count in the data");
}

template <class T> Array<T> take(const Frame<T>& frame, const Op& op, const Array<T>& table, const Array<T>& index) {
  Array<T> out = make_array<T>(op.type);
  size_t rows = static_cast<size_t>(table.type.shape[0]), width = table.data.size() / rows;
  for (size_t i = 0; i < index.data.size(); ++i) {
    size_t row = checked_index(frame, op, index.data[i], table.type.shape[0]);
    for (size_t j = 0; j < width; ++j) out.data[i * width + j] = table.data[row * width + j];
  }
  return out;
}

template <class T> Array<T> take_grad(const Frame<T>& frame, const Op& op, const Array<T>& g, const Array<T>& index) {
  Array<T> out = make_array<T>(op.type);
  size_t width = out.data.size() / static_cast<size_t>(op.type.shape[0]);
  std::vector<double> sums(out.data.size());
  for (size_t i = 0; i < index.data.size(); ++i) {
    size_t row = checked_index(frame, op, index.data[i], op.type.shape[0]);
    for (size_t j = 0; j < width; ++j) sums[row * width + j] += g.data[i * width + j];
  }
  out.data.assign(sums.begin(), sums.end());
  return out;
}

template <class T> Array<T> pick(const Frame<T>& frame, const Op& op, const Array<T>& x, const Array<T>& index) {
  Array<T> out = make_array<T>(op.type);
  auto axis = static_cast<size_t>(op.attr.axis);
  auto stride = static_cast<size_t>(row_major(x.type.shape)[axis]), extent = static_cast<size_t>(x.type.shape[axis]);
  for (size_t i = 0; i < out.data.size(); ++i) {
    size_t at = checked_index(frame, op, index.data[i], x.type.shape[axis]);
    out.data[i] = x.data[(i / stride * extent + at) * stride + i % stride];
  }
  return out;
}

}  // namespace

template <class T> Array<T> evaluate_lookup(const Frame<T>& frame, const Op& op, const Operands<T>& in) {
  if (op.code == OpCode::take) return take(frame, op, *in[0], *in[1]);
  if (op.code == OpCode::take_grad) return take_grad(frame, op, *in[0], *in[1]);
  return pick(frame, op, *in[0], *in[1]);
}

template Array<float> evaluate_lookup(const Frame<float>&, const Op&, const Operands<float>&);
template Array<double> evaluate_lookup(const Frame<double>&, const Op&, const Operands<double>&);

}  // namespace mlc
