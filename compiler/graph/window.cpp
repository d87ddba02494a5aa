#include "compiler/graph/window.h"

#include "compiler/base/diagnostics.h"

namespace mlc {
namespace {

void want(bool ok, const char* what) {
  if (!ok) throw InternalError(what);
}

/// The shapes by part; null where the op has no such part. The result counts as given by op.type.
struct Parts {
  const Shape *image = nullptr, *outputs = nullptr, *weights = nullptr;
};

Parts parts_of(const Graph& graph, const Op& op) {
  auto in = [&](size_t i) { return &graph.type(op.in[i]).shape; };
  const Shape* result = &op.type.shape;
  switch (op.code) {
  case OpCode::conv: return {in(0), result, in(1)};
  case OpCode::conv_dgrad: return {result, in(0), in(1)};
  case OpCode::conv_wgrad: return {in(0), in(1), result};
  case OpCode::window_sum_grad:
  case OpCode::window_scatter: return {result, in(0), nullptr};
  default: return {in(0), result, nullptr};
  }
}

bool is_read_of_image(OpCode code) {
  return code == OpCode::window_sum || code == OpCode::window_max || code == OpCode::window_argmax || code == OpCode::window_pick;
}

/// Spatial axes from the attributes and the shapes of an image and of weights; outputs are left open.
WindowShape read(const Op& op, const Parts& parts) {
  const Attributes& attr = op.attr;
  size_t n = attr.step.size();
  want(n >= 1 && n <= 3, "a window has one to three spatial axes");
  want(attr.begin.size() == n && attr.end.size() == n && attr.dilation.size() == n, "the window's attributes differ in length");
  want(parts.image->size() == n + 2, "the image is [n, channels, spatial...], one axis per stride");
  WindowShape w;
  w.samples = (*parts.image)[0], w.channels = (*parts.image)[1], w.results = w.channels, w.groups = attr.groups;
  if (parts.weights) {
    want(parts.weights->size() == n + 2, "weights are [results, channels / groups, taps...]");
    want(attr.groups >= 1, "there is at least one group");
    w.results = (*parts.weights)[0];
    want(w.results % w.groups == 0 && w.channels % w.groups == 0, "groups must divide the channels of both sides");
    want((*parts.weights)[1] == w.channels / w.groups, "the weights have another number of channels than the image per group");
  } else {
    want(attr.size.size() == n, "the window's attributes differ in length");
  }
  constexpr int64_t kMost = int64_t{1} << 32;
  for (size_t i = 0; i < n; ++i) {
    WindowAxis a{(*parts.image)[i + 2], 0, parts.weights ? (*parts.weights)[i + 2] : attr.size[i], attr.step[i], attr.begin[i], attr.end[i],
                 attr.dilation[i]};
    want(a.taps >= 1 && a.stride >= 1 && a.dilation >= 1 && a.before >= 0, "size, step and dilation are at least 1, begin at least 0");
    want(a.inputs < kMost && a.taps < kMost && a.stride < kMost && a.dilation < kMost && a.before < kMost && a.after < kMost &&
             a.after > -kMost,
         "a window's extent is too large");
    want(a.taps == 1 || a.dilation < kMost / a.taps, "a window's extent is too large");
    a.outputs = a.fitting();
    want(a.outputs >= 1, "the window is larger than the image");
    w.axes.push_back(a);
  }
  return w;
}

Shape output_shape(const WindowShape& w) {
  Shape out{w.samples, w.results};
  for (const WindowAxis& a : w.axes) out.push_back(a.outputs);
  return out;
}

int64_t product(const WindowShape& w, int64_t WindowAxis::* field) {
  int64_t n = 1;
  for (const WindowAxis& a : w.axes) n *= a.*field;
  return n;
}

}  // namespace

bool every_window_has_input(const WindowAxis& a) {
  for (int64_t o = 0; o < a.outputs; ++o) {
    int64_t at = o * a.stride - a.before;
    int64_t first = at >= 0 ? 0 : (-at + a.dilation - 1) / a.dilation;
    if (first >= a.taps || at + first * a.dilation >= a.inputs) return false;
  }
  return true;
}

int64_t WindowShape::inputs() const { return product(*this, &WindowAxis::inputs); }
int64_t WindowShape::outputs() const { return product(*this, &WindowAxis::outputs); }
int64_t WindowShape::taps() const { return product(*this, &WindowAxis::taps); }

WindowShape window_shape(const Graph& graph, const Op& op) { return read(op, parts_of(graph, op)); }

Type infer_window(const Graph& graph, const Op& op) {
  DType dtype = graph.type(op.in[0]).dtype;
  want(is_float(dtype), "the operand must be a float");
  bool shared_image = op.code == OpCode::conv_wgrad ? graph.op(op.in[0]).per_sample != graph.op(op.in[1]).per_sample : false;
  want(!shared_image, "image and cotangent must both be per-sample, or shared");
  if (op.code == OpCode::conv || op.code == OpCode::conv_dgrad) want(!graph.op(op.in[1]).per_sample, "the weights must be shared");
  if (is_convolution(op.code)) want(graph.type(op.in[1]).dtype == dtype, "the operands must be floats of one type");
  Parts parts = parts_of(graph, op);
  WindowShape w = read(op, parts);
  Shape outputs = output_shape(w);
  if (op.code == OpCode::window_max || op.code == OpCode::window_argmax || op.code == OpCode::window_scatter ||
      op.code == OpCode::window_pick)
    for (const WindowAxis& a : w.axes) want(every_window_has_input(a), "a window lies in the padding alone");
  if (op.code == OpCode::window_pick || op.code == OpCode::window_scatter) {
    want(graph.type(op.in[1]).dtype == DType::i32 && graph.type(op.in[1]).shape == outputs, "the index is i32, one per window");
    want(graph.op(op.in[0]).per_sample == graph.op(op.in[1]).per_sample, "operand and index must both be per-sample, or shared");
  }
  if (op.code == OpCode::conv || is_read_of_image(op.code)) return {op.code == OpCode::window_argmax ? DType::i32 : dtype, outputs};
  want(*parts.outputs == outputs, "the operand does not have one element per window of the result");
  return {dtype, op.type.shape};
}

}  // namespace mlc
