#include "tests/unit/compile/ops_rows.h"

#include "compiler/graph/graph.h"

namespace mlc {
namespace {

struct Case {
  Shape image, weights;
  Window window;
};

// Channels of several tiles and odd rests; strides that leave elements out; uneven padding; dilation; groups; depthwise;
// one and three axes; stride and dilation with a common divisor; windows as large as the image.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {{3, 7, 6}, {31, 3, 3, 3}, {{}, {1, 1}, {1, 1}, {{1, 1}, {1, 1}}}},
      {{2, 9, 8}, {5, 2, 3, 2}, {{}, {2, 3}, {1, 1}, {{1, 0}, {2, 1}}}},
      {{6, 8, 7}, {8, 3, 2, 3}, {{}, {1, 2}, {3, 2}, {{2, 1}, {0, 4}}, 2}},
      {{5, 6, 6}, {5, 1, 3, 3}, {{}, {2, 2}, {1, 1}, {{1, 1}, {1, 1}}, 5}},
      {{4, 19}, {7, 4, 5}, {{}, {4}, {2}, {{3, 2}}}},
      {{2, 4, 5, 3}, {3, 2, 2, 3, 1}, {{}, {2, 1, 1}, {1, 2, 1}, {{1, 1}, {0, 2}, {0, 0}}}},
      {{2, 5, 4}, {3, 2, 5, 4}, {{}, {1, 1}, {1, 1}, {{0, 0}, {0, 0}}}},
      {{2, 7}, {3, 2, 3}, {{}, {6}, {4}, {{2, 9}}}},
  };
  return all;
}

ValueId weigh(Inputs& in, ValueId y) {
  ValueId r = in.x(in.b.sample_shape(y));
  return in.b.reduce(OpCode::reduce_sum, in.b.binary(OpCode::mul, y, r), std::nullopt, false, true);
}

// The image's samples times a number each, so that the op reads a computed value.
ValueId image(Inputs& in, const Shape& shape) { return in.b.binary(OpCode::mul, in.x(shape), in.x({})); }

Window sized(const Case& c) {
  Window w = c.window;
  w.size = Shape(c.weights.begin() + 2, c.weights.end());
  w.groups = 1;
  return w;
}

// Padding that leaves every window an element.
Window pooled(const Case& c) {
  Window w = sized(c);
  for (size_t i = 0; i < w.size.size(); ++i) {
    int64_t most = (w.size[i] - 1) / 2;
    w.padding[i] = {std::min(w.padding[i].first, most), std::min(w.padding[i].second, most)};
    w.dilation[i] = std::min<int64_t>(w.dilation[i], 2);
  }
  return w;
}

Row row(const char* name, std::function<ValueId(Inputs&, const Case&)> make) {
  return {name, [make](Inputs& in) {
            std::vector<ValueId> out;
            for (const Case& c : cases()) out.push_back(make(in, c));
            return out;
          }};
}

}  // namespace

std::vector<Row> window_rows() {
  std::vector<Row> out;
  out.push_back({"conv", [](Inputs& in) {
                   std::vector<ValueId> y;
                   for (const Case& c : cases()) y.push_back(in.b.conv(image(in, c.image), in.p(c.weights), c.window));
                   // Bias and relu behind it; an image without samples; one that is read through an index map.
                   ValueId bias = in.b.reshape(in.p({31}), {31, 1, 1});
                   y[0] = in.b.binary(OpCode::max, in.b.binary(OpCode::add, y[0], bias), in.b.constant(0));
                   y.push_back(in.b.conv(in.p({3, 7, 6}), in.p({4, 3, 3, 3}), cases()[0].window));
                   y.push_back(in.b.conv(in.b.permute(in.x({6, 7, 3}), {2, 1, 0}), in.b.permute(in.p({3, 3, 3, 4}), {3, 0, 1, 2}),
                                         cases()[0].window));
                   return y;
                 }});
  out.push_back(row("conv_dgrad", [](Inputs& in, const Case& c) {
    ValueId x = image(in, c.image);
    return differentiate(in.b.graph(), weigh(in, in.b.conv(x, in.p(c.weights), c.window)), {x})[0];
  }));
  out.push_back({"conv_transpose", [](Inputs& in) {
                   std::vector<ValueId> y;
                   for (const Case& c : cases()) {
                     Shape x = c.image;
                     x[0] = c.weights[0];
                     std::vector<int64_t> extra(c.window.stride.size(), 0);
                     extra.back() = c.window.stride.back() - 1;
                     y.push_back(in.b.conv_transpose(image(in, x), in.p(c.weights), c.window, extra));
                   }
                   return y;
                 }});
  out.push_back(row("conv_wgrad", [](Inputs& in, const Case& c) {
    ValueId w = in.p(c.weights);
    return differentiate(in.b.graph(), weigh(in, in.b.conv(image(in, c.image), w, c.window)), {w})[0];
  }));
  out.push_back({"conv_wgrad_shared", [](Inputs& in) {
                   ValueId w = in.p({4, 3, 3, 3}), y = in.b.conv(in.p({3, 7, 6}), w, cases()[0].window);
                   ValueId loss = in.b.reduce(OpCode::reduce_sum, in.b.binary(OpCode::mul, y, y), std::nullopt, false, true);
                   return std::vector<ValueId>{differentiate(in.b.graph(), loss, {w})[0]};
                 }});
  out.push_back(row("window_sum", [](Inputs& in, const Case& c) { return in.b.window(OpCode::window_sum, image(in, c.image), sized(c)); }));
  out.push_back(row("window_sum_grad", [](Inputs& in, const Case& c) {
    ValueId x = image(in, c.image);
    return differentiate(in.b.graph(), weigh(in, in.b.window(OpCode::window_sum, x, sized(c))), {x})[0];
  }));
  out.push_back(
      row("window_max", [](Inputs& in, const Case& c) { return in.b.window(OpCode::window_max, image(in, c.image), pooled(c)); }));
  // Few different values: the first of equal ones is meant.
  auto steps = [](Inputs& in, const Shape& shape) {
    return in.b.unary(OpCode::round, in.b.binary(OpCode::mul, in.x(shape), in.b.constant(2)));
  };
  auto index = [steps](Inputs& in, const Case& c) {
    ValueId x = steps(in, c.image), y = in.b.window(OpCode::window_max, x, pooled(c));
    return in.b.add(OpCode::window_argmax, {x}, in.b.graph().op(y).attr);
  };
  out.push_back(row("window_argmax", index));
  out.push_back(row("window_scatter", [steps](Inputs& in, const Case& c) {
    ValueId x = steps(in, c.image);
    return differentiate(in.b.graph(), weigh(in, in.b.window(OpCode::window_max, x, pooled(c))), {x})[0];
  }));
  out.push_back(row("window_pick", [index](Inputs& in, const Case& c) {
    ValueId i = index(in, c);
    return in.b.add(OpCode::window_pick, {image(in, c.image), i}, in.b.graph().op(i).attr);
  }));
  // Images and places per sample and shared; places of other extents than the image, some of them outside.
  auto places = [](Inputs& in, ValueId p, double extent) {
    return in.b.binary(OpCode::mul, in.b.binary(OpCode::add, p, in.b.constant(0.8)), in.b.constant(extent * 0.6));
  };
  auto resampled = [places](Inputs& in, bool gradients) {
    std::vector<ValueId> y;
    bool bilinear = false;
    auto add = [&](ValueId image, ValueId across, ValueId down) {
      Shape shape = in.b.sample_shape(image);
      ValueId seen = in.b.resample(image, places(in, across, static_cast<double>(shape[2])),
                                   places(in, down, static_cast<double>(shape[1])), bilinear);
      if (!gradients) return y.push_back(seen);
      for (ValueId g : differentiate(in.b.graph(), weigh(in, seen), {image, across, down}))
        if (g != kNoValue) y.push_back(g);
    };
    for (bool mode : {false, true}) {
      bilinear = mode;
      add(image(in, {2, 7, 5}), in.x({4, 6}), in.x({4, 6}));
      add(image(in, {1, 4, 6}), in.p({4, 6}), in.p({4, 6}));
      add(in.p({2, 4, 21}), in.p({3, 17}), in.p({3, 1}));
      add(in.p({2, 3, 5}), in.x({3, 17}), in.p({3, 1}));
    }
    return y;
  };
  out.push_back({"resample", [resampled](Inputs& in) { return resampled(in, false); }});
  out.push_back({"resample_grad", [resampled](Inputs& in) { return resampled(in, true); }});
  for (Row& r : out) r.large = true;
  return out;
}

}  // namespace mlc
