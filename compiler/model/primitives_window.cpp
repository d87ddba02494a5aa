// Formula functions of images: strides, padding and dilation as PyTorch and Keras write them.
#include "compiler/model/primitives.h"

#include "compiler/base/text.h"

#include <algorithm>

namespace mlc {
namespace {

using Kind = Value::Kind;

/// An integer for all axes or one per axis.
std::vector<int64_t> per_axis(PrimitiveCall& c, size_t i, size_t axes, int64_t fallback) {
  const Value& v = c.args[i];
  if (v.is(Kind::none)) return std::vector<int64_t>(axes, fallback);
  if (!v.is(Kind::list)) return std::vector<int64_t>(axes, integer_argument(c, i));
  std::vector<int64_t> list = integers_of(v, c.loc, argument_name(c, i));
  if (list.size() != axes)
    throw SpecError(c.loc, argument_name(c, i) + " must be an integer or a list of " + std::to_string(axes) + "; it is " + show_value(v));
  return list;
}

/// An integer, a list with an entry per axis (an integer, or a pair: before and after), `valid`, or `same`: as many
/// outputs as inputs over the stride, rounded up, what is odd at the end.
void read_padding(PrimitiveCall& c, size_t i, const Shape& image, Window& w) {
  size_t axes = w.stride.size();
  const Value& v = c.args[i];
  w.padding.assign(axes, {0, 0});
  if (v.is(Kind::none)) return;
  if (v.is(Kind::text)) {
    if (v.text != "same" && v.text != "valid")
      throw SpecError(c.loc, argument_name(c, i) + " must be an integer, a list, same or valid; it is '" + v.text + "'");
    for (size_t a = 0; v.text == "same" && a < axes && image.size() > axes; ++a) {
      int64_t n = image[image.size() - axes + a], s = std::max<int64_t>(1, w.stride[a]);
      int64_t total = std::max<int64_t>(0, ((n + s - 1) / s - 1) * s + (w.size[a] - 1) * w.dilation[a] + 1 - n);
      w.padding[a] = {total / 2, total - total / 2};
    }
    return;
  }
  if (!v.is(Kind::list)) {
    int64_t width = integer_argument(c, i);
    w.padding.assign(axes, {width, width});
    return;
  }
  if (v.list->size() != axes)
    throw SpecError(c.loc,
                    argument_name(c, i) + " must have an entry for each of " + std::to_string(axes) + " axes; it is " + show_value(v));
  for (size_t a = 0; a < axes; ++a) {
    const Value& entry = (*v.list)[a];
    if (entry.is(Kind::list)) {
      std::vector<int64_t> pair = integers_of(entry, c.loc, "each entry of " + argument_name(c, i));
      if (pair.size() != 2)
        throw SpecError(c.loc, "each entry of " + argument_name(c, i) + " must be an integer or a pair, before and after");
      w.padding[a] = {pair[0], pair[1]};
    } else {
      int64_t width = integer_of(entry, c.loc, "each entry of " + argument_name(c, i));
      w.padding[a] = {width, width};
    }
  }
}

Shape kernel_of(PrimitiveCall& c, ValueId weight) {
  Shape w = c.evaluator.builder().sample_shape(weight);
  if (w.size() < 3)
    throw SpecError(c.loc, argument_name(c, 1) + " must be weights with an axis of kernel; their shape is " + format_shape(w));
  return Shape(w.begin() + 2, w.end());
}

}  // namespace

Value conv(PrimitiveCall& c) {
  ValueId x = tensor_argument(c, 0), weight = tensor_argument(c, 1);
  Builder& b = c.evaluator.builder();
  Window w{.size = kernel_of(c, weight)};
  w.stride = per_axis(c, 2, w.size.size(), 1);
  w.dilation = per_axis(c, 4, w.size.size(), 1);
  w.groups = integer_argument(c, 5, 1);
  read_padding(c, 3, b.sample_shape(x), w);
  return Value::of_tensor(b.conv(x, weight, w));
}

Value conv_transpose(PrimitiveCall& c) {
  ValueId x = tensor_argument(c, 0), weight = tensor_argument(c, 1);
  Builder& b = c.evaluator.builder();
  Window w{.size = kernel_of(c, weight)};
  w.stride = per_axis(c, 2, w.size.size(), 1);
  w.dilation = per_axis(c, 5, w.size.size(), 1);
  w.groups = integer_argument(c, 6, 1);
  if (c.args[3].is(Kind::text) && c.args[3].text == "same")
    throw SpecError(c.loc, argument_name(c, 3) + " must be numbers: the size of the result follows from them");
  read_padding(c, 3, b.sample_shape(x), w);
  return Value::of_tensor(b.conv_transpose(x, weight, w, per_axis(c, 4, w.size.size(), 0)));
}

Value window(PrimitiveCall& c) {
  ValueId x = tensor_argument(c, 0);
  Builder& b = c.evaluator.builder();
  Shape image = b.sample_shape(x);
  if (image.size() < 2)
    throw SpecError(c.loc, argument_name(c, 0) + " must be [channels, spatial...]; its shape is " + format_shape(image));
  size_t axes = image.size() - 1;
  Window w{.size = per_axis(c, 1, axes, 1)};
  w.stride = per_axis(c, 2, axes, 1);
  w.dilation = per_axis(c, 4, axes, 1);
  read_padding(c, 3, image, w);
  OpCode code;
  ensure(parse_op_code(c.name, &code), "the window function has an op");
  return Value::of_tensor(b.window(code, x, w));
}

Value resample(PrimitiveCall& c) {
  const Value& mode = c.args[3];
  bool nearest = mode.is(Kind::text) && mode.text == "nearest";
  if (!mode.is(Kind::none) && !nearest && !(mode.is(Kind::text) && mode.text == "bilinear"))
    throw SpecError(c.loc, argument_name(c, 3) + " must be nearest or bilinear; it is " + show_value(mode));
  ValueId image = tensor_argument(c, 0), x = tensor_argument(c, 1), y = tensor_argument(c, 2);
  return Value::of_tensor(c.evaluator.builder().resample(image, x, y, !nearest));
}

}  // namespace mlc
