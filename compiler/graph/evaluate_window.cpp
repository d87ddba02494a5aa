// Windows over images, one to three spatial axes. Sums are carried in f64 and rounded once, as reductions are.
#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"
#include "compiler/graph/window.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace mlc {
namespace {

std::array<WindowAxis, 3> three_axes(const WindowShape& w) {
  std::array<WindowAxis, 3> a;  // axes of extent 1 in front
  std::copy(w.axes.begin(), w.axes.end(), a.end() - static_cast<std::ptrdiff_t>(w.axes.size()));
  for (size_t i = 0; i + w.axes.size() < 3; ++i) a[i].outputs = 1;
  return a;
}

/// Calls f(input, output, tap), row-major numbers within their spatial shapes, for every tap that lies inside; outputs
/// in order, and the taps of each in order.
template <class F> void each_tap(const WindowShape& w, F&& f) {
  std::array<WindowAxis, 3> a = three_axes(w);
  auto inside = [&](size_t i, int64_t o, int64_t k, int64_t* at) {
    *at = o * a[i].stride - a[i].before + k * a[i].dilation;
    return *at >= 0 && *at < a[i].inputs;
  };
  int64_t output = 0, z, y, x;
  for (int64_t oz = 0; oz < a[0].outputs; ++oz)
    for (int64_t oy = 0; oy < a[1].outputs; ++oy)
      for (int64_t ox = 0; ox < a[2].outputs; ++ox, ++output)
        for (int64_t kz = 0; kz < a[0].taps; ++kz) {
          if (!inside(0, oz, kz, &z)) continue;
          for (int64_t ky = 0; ky < a[1].taps; ++ky) {
            if (!inside(1, oy, ky, &y)) continue;
            for (int64_t kx = 0; kx < a[2].taps; ++kx)
              if (inside(2, ox, kx, &x)) f((z * a[1].inputs + y) * a[2].inputs + x, output, (kz * a[1].taps + ky) * a[2].taps + kx);
          }
        }
}

/// The taps that lie inside, by runs along the last axis: f(input, output, tap, n) stands for n outputs in a row, whose
/// inputs are the stride apart. Taps in order, and the outputs of each in order.
template <class F> void each_run(const WindowShape& w, F&& f) {
  std::array<WindowAxis, 3> a = three_axes(w);
  // Outputs from `first` on, up to `end`, have their input at tap k inside.
  auto range = [&](size_t i, int64_t k) {
    int64_t shift = k * a[i].dilation - a[i].before, stride = a[i].stride;
    int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    int64_t end = shift >= a[i].inputs ? 0 : std::min(a[i].outputs, (a[i].inputs - 1 - shift) / stride + 1);
    return std::pair{first, end};
  };
  int64_t tap = 0;
  for (int64_t kz = 0; kz < a[0].taps; ++kz)
    for (int64_t ky = 0; ky < a[1].taps; ++ky)
      for (int64_t kx = 0; kx < a[2].taps; ++kx, ++tap) {
        auto [z0, z1] = range(0, kz);
        auto [y0, y1] = range(1, ky);
        auto [x0, x1] = range(2, kx);
        if (x0 >= x1) continue;
        for (int64_t oz = z0; oz < z1; ++oz)
          for (int64_t oy = y0; oy < y1; ++oy) {
            int64_t z = oz * a[0].stride - a[0].before + kz * a[0].dilation, y = oy * a[1].stride - a[1].before + ky * a[1].dilation;
            int64_t x = x0 * a[2].stride - a[2].before + kx * a[2].dilation;
            f((z * a[1].inputs + y) * a[2].inputs + x, (oz * a[1].outputs + oy) * a[2].outputs + x0, tap, x1 - x0);
          }
      }
}

/// Calls f(image plane, output plane, weight row) for all pairs of channels that meet, by number of their first element.
template <class F> void each_plane(const WindowShape& w, F&& f) {
  int64_t per_group = w.channels / w.groups, results = w.results / w.groups;
  for (int64_t n = 0; n < w.samples; ++n)
    for (int64_t o = 0; o < w.results; ++o)
      for (int64_t i = 0; i < per_group; ++i)
        f((n * w.channels + o / results * per_group + i) * w.inputs(), (n * w.results + o) * w.outputs(), (o * per_group + i) * w.taps());
}

template <class T> Array<T> convolution(const Op& op, const WindowShape& w, const Operands<T>& in) {
  std::vector<double> sums(static_cast<size_t>(op.type.elements()));
  const T *a = in[0]->data.data(), *b = in[1]->data.data();
  double* out = sums.data();
  int64_t step = w.axes.back().stride;
  each_plane(w, [&](int64_t image, int64_t outputs, int64_t weights) {
    each_run(w, [&](int64_t i, int64_t o, int64_t k, int64_t n) {
      i += image, o += outputs, k += weights;
      if (op.code == OpCode::conv)
        for (int64_t j = 0; j < n; ++j) out[o + j] += static_cast<double>(a[i + j * step]) * b[k];
      else if (op.code == OpCode::conv_dgrad)
        for (int64_t j = 0; j < n; ++j) out[i + j * step] += static_cast<double>(a[o + j]) * b[k];
      else
        for (int64_t j = 0; j < n; ++j) out[k] += static_cast<double>(a[i + j * step]) * b[o + j];
    });
  });
  Array<T> result{op.type, {}};
  result.data.assign(sums.begin(), sums.end());
  return result;
}

template <class T> bool is_greater(T a, T b) { return a > b || (std::isnan(a) && !std::isnan(b)); }

template <class T> Array<T> greatest(const Op& op, const WindowShape& w, const Array<T>& x) {
  Array<T> best = make_array<T>(op.type), index = make_array<T>(op.type, T(-1));
  for (int64_t plane = 0; plane < w.samples * w.channels; ++plane)
    each_tap(w, [&](int64_t i, int64_t o, int64_t) {
      auto at = static_cast<size_t>(plane * w.outputs() + o);
      T value = x.data[static_cast<size_t>(plane * w.inputs() + i)];
      if (index.data[at] < 0 || is_greater(value, best.data[at])) best.data[at] = value, index.data[at] = static_cast<T>(i);
    });
  return op.code == OpCode::window_max ? best : index;
}

/// window_sum, its gradient, and the two that go by index.
template <class T> Array<T> sums(const Op& op, const WindowShape& w, const Operands<T>& in) {
  bool to_image = gives_image(op.code), by_index = in.size() == 2;
  std::vector<double> sum(static_cast<size_t>(op.type.elements()));
  for (int64_t plane = 0; plane < w.samples * w.channels; ++plane)
    each_tap(w, [&](int64_t i, int64_t o, int64_t) {
      auto input = static_cast<size_t>(plane * w.inputs() + i), output = static_cast<size_t>(plane * w.outputs() + o);
      if (by_index && in[1]->data[output] != static_cast<T>(i)) return;
      sum[to_image ? input : output] += in[0]->data[to_image ? output : input];
    });
  Array<T> result{op.type, {}};
  result.data.assign(sum.begin(), sum.end());
  return result;
}

}  // namespace

template <class T> Array<T> evaluate_window(const Graph& graph, const Op& op, const Operands<T>& in) {
  WindowShape w = window_shape(graph, op);
  if (is_convolution(op.code)) return convolution(op, w, in);
  if (op.code == OpCode::window_max || op.code == OpCode::window_argmax) return greatest(op, w, *in[0]);
  return sums(op, w, in);
}

template Array<float> evaluate_window(const Graph&, const Op&, const Operands<float>&);
template Array<double> evaluate_window(const Graph&, const Op&, const Operands<double>&);

}  // namespace mlc
