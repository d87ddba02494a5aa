// Window operators of the builder: images [channels, spatial...] of one sample.
#include "compiler/graph/builder.h"

#include "compiler/base/text.h"
#include "compiler/graph/promote.h"
#include "compiler/graph/window.h"

#include <algorithm>

namespace mlc {
namespace {

Attributes attributes_of(const Window& window) {
  Attributes attr{.step = window.stride, .dilation = window.dilation, .groups = window.groups};
  for (auto [before, after] : window.padding) attr.begin.push_back(before), attr.end.push_back(after);
  return attr;
}

}  // namespace

void Builder::check_window(const std::string& what, const Window& window, const Shape& image, const Shape& size) const {
  size_t n = size.size();
  auto entries = [&](size_t found, const char* name) {
    if (found != n) fail(what + ": '" + name + "' has " + std::to_string(found) + " entries for " + std::to_string(n) + " spatial axes");
  };
  entries(window.stride.size(), "stride"), entries(window.padding.size(), "padding"), entries(window.dilation.size(), "dilation");
  constexpr int64_t kMost = 1'000'000'000;
  auto within = [&](int64_t value, int64_t least, const char* name) {
    if (value < least || value > kMost)
      fail(what + ": '" + name + "' must be at least " + std::to_string(least) + ", found " + std::to_string(value));
  };
  bool fits = true;
  Shape padded;
  for (size_t i = 0; i < n; ++i) {
    auto [before, after] = window.padding[i];
    within(size[i], 1, "kernel"), within(window.stride[i], 1, "stride"), within(window.dilation[i], 1, "dilation");
    within(before, 0, "padding"), within(after, 0, "padding");
    padded.push_back(image[image.size() - n + i] + before + after);
    fits &= static_cast<double>(size[i] - 1) * static_cast<double>(window.dilation[i]) < static_cast<double>(padded[i]);
  }
  if (fits) return;
  bool spread = std::any_of(window.dilation.begin(), window.dilation.end(), [](int64_t d) { return d != 1; });
  fail(what + ": the kernel is larger than the padded input",
       {"kernel  " + format_shape(size) + (spread ? " at dilation " + format_shape(window.dilation) : ""),
        "input   " + format_shape(image) +
            (padded == Shape(image.end() - static_cast<std::ptrdiff_t>(n), image.end()) ? "" : ", padded to " + format_shape(padded))});
}

// A shared image has no batch in front; window ops count its one sample.
ValueId Builder::with_samples(ValueId x) {
  x = cast(x, operand_type(OpCode::div, graph_.type(x).dtype, graph_.type(x).dtype));
  if (graph_.op(x).per_sample) return x;
  Shape shape = graph_.type(x).shape;
  shape.insert(shape.begin(), 1);
  return raw_reshape(x, std::move(shape));
}

ValueId Builder::without_samples(ValueId y) {
  if (graph_.op(y).per_sample) return y;
  const Shape& shape = graph_.type(y).shape;
  return raw_reshape(y, Shape(shape.begin() + 1, shape.end()));
}

void Builder::check_weights(const std::string& what, ValueId x, ValueId weight, int64_t groups, bool transposed) const {
  Shape image = sample_shape(x), w = sample_shape(weight);
  if (graph_.op(weight).per_sample) fail(what + ": the weights must be the same for all samples");
  if (w.size() < 3 || w.size() > 5)
    fail(what + ": weights have two axes of channels and one to three of the kernel, found " + format_shape(w));
  if (image.size() + 1 != w.size())
    fail_shapes(what + ": weights of " + std::to_string(w.size() - 2) + " spatial axes need an image of " + std::to_string(w.size() - 1) +
                    " axes",
                "weights", w, "image", image);
  if (groups < 1) fail(what + ": 'groups' must be at least 1, found " + std::to_string(groups));
  if (image[0] % groups || w[0] % groups)
    fail(what + ": " + std::to_string(groups) + " groups do not divide " + std::to_string(image[0] % groups ? image[0] : w[0]) +
         " channels");
  int64_t expected = transposed ? w[0] : w[1] * groups;
  if (image[0] != expected)
    fail_shapes(what + ": the weights need an image of " + std::to_string(expected) + " channels", "weights", w, "image", image);
}

ValueId Builder::conv(ValueId x, ValueId weight, const Window& window) {
  check_weights("conv", x, weight, window.groups, false);
  Shape w = sample_shape(weight);
  check_window("conv", window, sample_shape(x), Shape(w.begin() + 2, w.end()));
  x = with_samples(x);
  return without_samples(add(OpCode::conv, {x, cast(weight, graph_.type(x).dtype)}, attributes_of(window)));
}

ValueId Builder::conv_transpose(ValueId x, ValueId weight, const Window& window, const std::vector<int64_t>& output_padding) {
  check_weights("conv_transpose", x, weight, window.groups, true);
  Shape w = sample_shape(weight), image = sample_shape(x);
  size_t n = w.size() - 2;
  Shape size(w.begin() + 2, w.end());
  // Its windows lie on the result: they always fit.
  check_window("conv_transpose", window, Shape(n, int64_t{1} << 40), size);
  if (output_padding.size() != n)
    fail("conv_transpose: 'output_padding' has " + std::to_string(output_padding.size()) + " entries for " + std::to_string(n) +
         " spatial axes");
  x = with_samples(x);
  Attributes attr = attributes_of(window);
  Shape result{graph_.type(x).shape[0], w[1] * window.groups};
  for (size_t i = 0; i < n; ++i) {
    auto [before, after] = window.padding[i];
    if (output_padding[i] < 0 || (output_padding[i] > 0 && output_padding[i] >= std::max(window.stride[i], window.dilation[i])))
      fail("conv_transpose: 'output_padding' must be smaller than the stride or the dilation, found " + std::to_string(output_padding[i]));
    int64_t extent = (image[i + 1] - 1) * window.stride[i] + (size[i] - 1) * window.dilation[i] + 1 - before - after + output_padding[i];
    if (extent < 1)
      fail("conv_transpose: the padding takes away all of the result",
           {"image    " + format_shape(image), "kernel   " + format_shape(size),
            "padding  " + std::to_string(before) + " before, " + std::to_string(after) + " after"});
    result.push_back(extent);
    attr.end[i] -= output_padding[i];  // the windows of conv end where they would without it
  }
  return without_samples(
      add(OpCode::conv_dgrad, {x, cast(weight, graph_.type(x).dtype)}, std::move(attr), Type{graph_.type(x).dtype, std::move(result)}));
}

ValueId Builder::window(OpCode code, ValueId x, const Window& window) {
  std::string what(op_info(code).name);
  Shape image = sample_shape(x);
  if (window.size.empty() || window.size.size() > 3) fail(what + ": a window has one to three axes, found " + format_shape(window.size));
  if (image.size() != window.size.size() + 1)
    fail_shapes(what + ": a window of " + std::to_string(window.size.size()) + " axes needs an image of " +
                    std::to_string(window.size.size() + 1),
                "window", window.size, "image", image);
  check_window(what, window, image, window.size);
  x = with_samples(x);
  Attributes attr = attributes_of(window);
  attr.size = window.size;
  if (code == OpCode::window_max) {
    for (size_t i = 0; i < window.size.size(); ++i) {
      WindowAxis a{image[i + 1], 0, attr.size[i], attr.step[i], attr.begin[i], attr.end[i], attr.dilation[i]};
      a.outputs = a.fitting();
      if (!every_window_has_input(a)) fail(what + ": a window lies in the padding alone; the padding is at most half of the kernel");
    }
  }
  return without_samples(add(code, {x}, std::move(attr)));
}

ValueId Builder::resample(ValueId image, ValueId x, ValueId y, bool bilinear) {
  Shape shape = sample_shape(image);
  if (shape.size() != 3) fail("resample needs an image of [channels, height, width]", {"found  " + format_shape(shape)});
  align({&x, &y}, "resample");
  if (rank(x) != 2) fail("resample needs places x and y of [rows, columns]", {"found  " + format_shape(sample_shape(x))});
  image = with_samples(expand(image, shape, graph_.op(image).per_sample || graph_.op(x).per_sample));
  for (ValueId* place : {&x, &y}) {
    *place = cast(*place, graph_.type(image).dtype);
    if (!bilinear) *place = unary(OpCode::stop_gradient, *place);   // steps have no slope
  }
  return without_samples(add(OpCode::resample, {image, x, y}, {.labels = bilinear ? "bilinear" : "nearest"}));
}

}  // namespace mlc
