#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"

#include <cmath>

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

/// Pixel (x, y) of each plane from the place that the matrix gives, counted from the centre; outside lies 0.
template <class T> Array<T> warp(const Op& op, const Array<T>& image, const Array<T>& matrix) {
  Array<T> out = make_array<T>(op.type);
  const Shape& shape = op.type.shape;
  int64_t height = shape[2], width = shape[3];
  T cx = static_cast<T>(width - 1) / 2, cy = static_cast<T>(height - 1) / 2;
  bool each = matrix.type.shape.size() == 3, nearest = op.attr.labels == "nearest";
  size_t at = 0;
  for (int64_t plane = 0; plane < shape[0] * shape[1]; ++plane) {
    const T* m = matrix.data.data() + (each ? plane / shape[1] * 6 : 0);
    auto pixel = [&](T x, T y) {
      if (!(x >= 0 && x < static_cast<T>(width) && y >= 0 && y < static_cast<T>(height))) return T(0);
      return image.data[static_cast<size_t>((plane * height + static_cast<int64_t>(y)) * width + static_cast<int64_t>(x))];
    };
    for (int64_t j = 0; j < height; ++j)
      for (int64_t i = 0; i < width; ++i) {
        T dx = static_cast<T>(i) - cx, dy = static_cast<T>(j) - cy;
        T x = m[0] * dx + m[1] * dy + m[2] + cx, y = m[3] * dx + m[4] * dy + m[5] + cy;
        if (nearest) {
          out.data[at++] = pixel(std::nearbyint(x), std::nearbyint(y));
          continue;
        }
        T left = std::floor(x), top = std::floor(y), u = x - left, v = y - top;
        T above = pixel(left, top) * (1 - u) + pixel(left + 1, top) * u;
        T below = pixel(left, top + 1) * (1 - u) + pixel(left + 1, top + 1) * u;
        out.data[at++] = above * (1 - v) + below * v;
      }
  }
  return out;
}

}  // namespace

template <class T> Array<T> evaluate_lookup(const Frame<T>& frame, const Op& op, const Operands<T>& in) {
  if (op.code == OpCode::take) return take(frame, op, *in[0], *in[1]);
  if (op.code == OpCode::warp) return warp(op, *in[0], *in[1]);
  if (op.code == OpCode::take_grad) return take_grad(frame, op, *in[0], *in[1]);
  return pick(frame, op, *in[0], *in[1]);
}

template Array<float> evaluate_lookup(const Frame<float>&, const Op&, const Operands<float>&);
template Array<double> evaluate_lookup(const Frame<double>&, const Op&, const Operands<double>&);

}  // namespace mlc
