// Windows over images, one to three spatial axes. Sums are carried in f64 and rounded once, as reductions are.
#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"
#include "compiler/graph/window.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace mlc {
namespace {

/// Calls f(input, output, tap), row-major numbers within their spatial shapes, for every tap that lies inside; outputs
/// in order, and the taps of each in order.
template <class F> void each_tap(const WindowShape& w, F&& f) {
  std::array<WindowAxis, 3> a;  // axes of extent 1 in front
  std::copy(w.axes.begin(), w.axes.end(), a.end() - static_cast<std::ptrdiff_t>(w.axes.size()));
  for (size_t i = 0; i + w.axes.size() < 3; ++i) a[i].outputs = 1;
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
  each_plane(w, [&](int64_t image, int64_t outputs, int64_t weights) {
    each_tap(w, [&](int64_t i, int64_t o, int64_t k) {
      if (op.code == OpCode::conv)
        out[outputs + o] += static_cast<double>(a[image + i]) * b[weights + k];
      else if (op.code == OpCode::conv_dgrad)
        out[image + i] += static_cast<double>(a[outputs + o]) * b[weights + k];
      else
        out[weights + k] += static_cast<double>(a[image + i]) * b[outputs + o];
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
