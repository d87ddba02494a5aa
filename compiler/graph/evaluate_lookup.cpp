#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"

#include <cmath>

namespace mlc {
namespace {

template <class T> size_t checked_index(const Frame<T>& frame, const Op& op, T index, int64_t count) {
  if (index >= 0 && index < static_cast<T>(count)) return static_cast<size_t>(index);
  const std::string& scope = frame.graph.scopes[static_cast<size_t>(op.scope)].path;
  throw RuntimeError("index " + std::to_string(static_cast<long long>(index)) + " is outside 0.." + std::to_string(count - 1) +
                     (scope.empty() ? "" : " in `" + scope + "`") + ": look for a wrong label or class count in the data");
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

/// Calls f(place, pixel, weight) with each element of the places' grid, and each pixel within the image that it is read from.
template <class T, class F> void each_pixel(const Op& op, const Shape& image, const Array<T>& x, const Array<T>& y, const F& f) {
  int64_t height = image[2], width = image[3];
  size_t plane = static_cast<size_t>(height * width);
  bool each = x.type.shape.size() == 3, nearest = op.attr.labels == "nearest";
  size_t grid = x.data.size() / static_cast<size_t>(each ? image[0] : 1), at = 0;
  for (int64_t n = 0; n < image[0]; ++n)
    for (int64_t c = 0; c < image[1]; ++c)
      for (size_t i = 0; i < grid; ++i, ++at) {
        auto pixel = [&](T column, T row, T weight) {
          if (!(column >= 0 && column < static_cast<T>(width) && row >= 0 && row < static_cast<T>(height))) return;
          size_t within = static_cast<size_t>(static_cast<int64_t>(row) * width + static_cast<int64_t>(column));
          f(at, static_cast<size_t>(n * image[1] + c) * plane + within, weight);
        };
        size_t place = (each ? static_cast<size_t>(n) * grid : 0) + i;
        T px = x.data[place], py = y.data[place];
        if (nearest) {
          pixel(std::nearbyint(px), std::nearbyint(py), 1);
          continue;
        }
        T left = std::floor(px), top = std::floor(py), u = px - left, v = py - top;
        pixel(left, top, (1 - u) * (1 - v)), pixel(left + 1, top, u * (1 - v));
        pixel(left, top + 1, (1 - u) * v), pixel(left + 1, top + 1, u * v);
      }
}

template <class T> Array<T> resample(const Op& op, const Array<T>& image, const Array<T>& x, const Array<T>& y) {
  std::vector<double> sums(static_cast<size_t>(op.type.elements()));
  each_pixel(op, image.type.shape, x, y,
             [&](size_t at, size_t pixel, T weight) { sums[at] += static_cast<double>(weight) * image.data[pixel]; });
  return {op.type, {sums.begin(), sums.end()}};
}

template <class T> Array<T> resample_grad(const Op& op, const Array<T>& g, const Array<T>& x, const Array<T>& y) {
  std::vector<double> sums(static_cast<size_t>(op.type.elements()));
  each_pixel(op, op.type.shape, x, y, [&](size_t at, size_t pixel, T weight) { sums[pixel] += static_cast<double>(weight) * g.data[at]; });
  return {op.type, {sums.begin(), sums.end()}};
}

}  // namespace

template <class T> Array<T> evaluate_lookup(const Frame<T>& frame, const Op& op, const Operands<T>& in) {
  if (op.code == OpCode::take) return take(frame, op, *in[0], *in[1]);
  if (op.code == OpCode::resample) return resample(op, *in[0], *in[1], *in[2]);
  if (op.code == OpCode::resample_grad) return resample_grad(op, *in[0], *in[1], *in[2]);
  if (op.code == OpCode::take_grad) return take_grad(frame, op, *in[0], *in[1]);
  return pick(frame, op, *in[0], *in[1]);
}

template Array<float> evaluate_lookup(const Frame<float>&, const Op&, const Operands<float>&);
template Array<double> evaluate_lookup(const Frame<double>&, const Op&, const Operands<double>&);

}  // namespace mlc
