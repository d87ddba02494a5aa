// Windows sliding over the spatial axes of an image: what the ops of class `window` share.
#pragma once
#include "compiler/graph/ir.h"

namespace mlc {

/// One spatial axis: output o reads inputs o * stride - before + k * dilation for the taps k, where they lie inside.
struct WindowAxis {
  int64_t inputs = 1, outputs = 1, taps = 1, stride = 1, before = 0, after = 0, dilation = 1;
  int64_t reach() const { return (taps - 1) * dilation + 1; }
  /// Outputs that fit; 0 or less where the window is larger than the padded input.
  int64_t fitting() const {
    int64_t room = inputs + before + after - reach();
    return room < 0 ? 0 : room / stride + 1;
  }
};

/// Some tap of every window lies inside: each has a greatest.
bool every_window_has_input(const WindowAxis& axis);

/// The parts of a window op, whichever of them is its result: an image [samples, channels, inputs...], what its windows
/// give [samples, results, outputs...] and, for convolutions, weights [results, channels / groups, taps...].
struct WindowShape {
  int64_t samples = 1, channels = 1, results = 1, groups = 1;
  std::vector<WindowAxis> axes;
  int64_t inputs() const;  ///< elements of one channel of the image
  int64_t outputs() const;
  int64_t taps() const;
};

inline bool is_window(OpCode code) { return op_info(code).cls == OpClass::window; }
inline bool is_convolution(OpCode code) { return code == OpCode::conv || code == OpCode::conv_dgrad || code == OpCode::conv_wgrad; }
/// The result is the image: its elements take from the windows that they lie in.
inline bool gives_image(OpCode code) {
  return code == OpCode::conv_dgrad || code == OpCode::window_sum_grad || code == OpCode::window_scatter;
}

/// Requires a verified op of class window.
WindowShape window_shape(const Graph& graph, const Op& op);

/// infer_type for ops of class window.
Type infer_window(const Graph& graph, const Op& op);

}  // namespace mlc
