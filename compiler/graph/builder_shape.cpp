// Shape operators of the builder. All take sample axes.
#include "compiler/graph/builder.h"

#include "compiler/base/text.h"
#include "compiler/graph/promote.h"

#include <algorithm>
#include <cmath>

namespace mlc {

size_t Builder::axis(ValueId x, int64_t dim, const char* what) const {
  int64_t n = rank(x);
  if (n == 0) fail(std::string(what) + ": a single number has no axes");
  if (dim < -n || dim >= n)
    fail(std::string(what) + ": axis " + std::to_string(dim) + " does not exist: the shape is " + format_shape(sample_shape(x)) +
         "; the batch is not counted");
  return static_cast<size_t>(dim < 0 ? dim + n : dim) + first_axis(x);
}

ValueId Builder::raw_reshape(ValueId x, Shape shape) {
  const Op& op = graph_.ops[x];
  if (op.per_sample) shape.insert(shape.begin(), graph_.batch);
  if (shape == op.type.shape) return x;
  return add(OpCode::reshape, {x}, {}, Type{op.type.dtype, std::move(shape)});
}

ValueId Builder::reshape(ValueId x, Shape shape) {
  Shape own = sample_shape(x);
  int64_t known = 1, count = element_count(own);
  auto open = shape.end();
  for (auto extent = shape.begin(); extent != shape.end(); ++extent) {
    if (*extent == -1) {
      if (open != shape.end()) fail("reshape: only one extent may be -1");
      open = extent;
    } else if (*extent < 1) {
      fail("reshape: an extent must be at least 1, or -1 for the rest, found " + std::to_string(*extent));
    } else {
      if (*extent > count / known) known = 0;  // no longer a divisor
      if (known == 0) break;
      known *= *extent;
    }
  }
  bool fits = known > 0 && (open == shape.end() ? known == count : count % known == 0);
  if (!fits) fail_shapes("reshape: " + format_count(count) + " elements do not fill the shape", "expected", shape, "found", own);
  if (open != shape.end()) *open = count / known;
  return raw_reshape(x, std::move(shape));
}

ValueId Builder::permute(ValueId x, const std::vector<int64_t>& dims) {
  if (static_cast<int64_t>(dims.size()) != rank(x))
    fail("permute: the shape " + format_shape(sample_shape(x)) + " has " + std::to_string(rank(x)) + " axes, " +
         std::to_string(dims.size()) + " named");
  Attributes attr;
  if (graph_.ops[x].per_sample) attr.dims.push_back(0);
  for (int64_t dim : dims) {
    auto at = static_cast<int64_t>(axis(x, dim, "permute"));
    if (std::find(attr.dims.begin(), attr.dims.end(), at) != attr.dims.end())
      fail("permute: axis " + std::to_string(dim) + " is named twice");
    attr.dims.push_back(at);
  }
  if (std::is_sorted(attr.dims.begin(), attr.dims.end())) return x;
  return add(OpCode::transpose, {x}, std::move(attr));
}

ValueId Builder::transpose(ValueId x, int64_t a, int64_t b) {
  std::vector<int64_t> dims(static_cast<size_t>(rank(x)));
  std::iota(dims.begin(), dims.end(), int64_t{0});
  size_t i = axis(x, a, "transpose") - first_axis(x), j = axis(x, b, "transpose") - first_axis(x);
  std::swap(dims[i], dims[j]);
  return permute(x, dims);
}

ValueId Builder::slice(ValueId x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step) {
  size_t at = axis(x, dim, "slice");
  if (step < 1) fail("slice: the step must be at least 1, found " + std::to_string(step));
  const Shape shape = graph_.type(x).shape;
  int64_t n = shape[at];
  auto clamp = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
  int64_t from = clamp(start.value_or(0)), to = stop ? clamp(*stop) : n;
  if (from >= to)
    fail("slice: nothing lies from " + std::to_string(start.value_or(0)) + " to " + std::to_string(stop.value_or(n)) + " on an axis of " +
         std::to_string(n));
  if (from == 0 && to == n && step == 1) return x;
  Attributes attr{.begin = std::vector<int64_t>(shape.size(), 0), .end = shape, .step = std::vector<int64_t>(shape.size(), 1)};
  // One stop for all ways to write the same elements.
  attr.begin[at] = from, attr.step[at] = step, attr.end[at] = from + (to - from - 1) / step * step + 1;
  return add(OpCode::slice, {x}, std::move(attr));
}

void Builder::check_widths(ValueId x, const std::vector<std::pair<int64_t, int64_t>>& widths) const {
  if (static_cast<int64_t>(widths.size()) != rank(x))
    fail("pad: the shape " + format_shape(sample_shape(x)) + " has " + std::to_string(rank(x)) + " axes, " + std::to_string(widths.size()) +
         " widths given");
  for (auto [before, after] : widths) {
    if (before < 0 || after < 0) fail("pad: a width is negative; slice takes elements away");
    if (before > 1'000'000'000 || after > 1'000'000'000) fail("pad: a width is too large");
  }
}

ValueId Builder::pad_with_own(ValueId x, const std::vector<std::pair<int64_t, int64_t>>& widths, bool mirrored) {
  constexpr int64_t kMostMirrored = 4096;
  check_widths(x, widths);
  for (size_t i = 0; i < widths.size(); ++i) {
    auto [before, after] = widths[i];
    if (before == 0 && after == 0) continue;
    auto dim = static_cast<int64_t>(i);
    int64_t n = sample_shape(x)[i];
    auto element = [&](int64_t at) { return slice(x, dim, at, at + 1); };
    std::vector<ValueId> parts;
    if (mirrored) {
      if (before >= n || after >= n || before + after > kMostMirrored)
        fail("pad: reflect needs widths below the " + std::to_string(n) + " elements of the axis, found " +
             std::to_string(std::max(before, after)));
      for (int64_t k = before; k > 0; --k) parts.push_back(element(k));
      parts.push_back(x);
      for (int64_t k = 1; k <= after; ++k) parts.push_back(element(n - 1 - k));
    } else {
      auto edge = [&](int64_t at, int64_t width) {
        Shape shape = sample_shape(x);
        shape[i] = width;
        parts.push_back(broadcast_to(element(at), shape, graph_.op(x).per_sample));
      };
      if (before) edge(0, before);
      parts.push_back(x);
      if (after) edge(n - 1, after);
    }
    x = concat(parts, dim);
  }
  return x;
}

ValueId Builder::pad(ValueId x, const std::vector<std::pair<int64_t, int64_t>>& widths, double value) {
  check_widths(x, widths);
  size_t first = first_axis(x), n = first + widths.size();
  Attributes attr{.values = {value}, .begin = std::vector<int64_t>(n, 0), .end = std::vector<int64_t>(n, 0)};
  bool any = false;
  for (size_t i = 0; i < widths.size(); ++i) {
    auto [before, after] = widths[i];
    any |= before > 0 || after > 0;
    attr.begin[first + i] = before, attr.end[first + i] = after;
  }
  if (!any) return x;
  if (DType dtype = graph_.type(x).dtype; !is_float(dtype)) {
    double low = dtype == DType::i32 || dtype == DType::i64 ? -0x1p31 : 0;
    double high = dtype == DType::boolean ? 1 : dtype == DType::u8 ? 255 : 0x1p31 - 1;
    if (!(value >= low && value <= high && value == std::floor(value))) x = cast(x, DType::f32);
  }
  return add(OpCode::pad, {x}, std::move(attr));
}

ValueId Builder::concat(const std::vector<ValueId>& parts, int64_t dim) {
  if (parts.empty()) fail("concat: nothing to join");
  bool per_sample = false;
  DType dtype = graph_.type(parts[0]).dtype;
  for (ValueId part : parts) {
    per_sample |= graph_.ops[part].per_sample;
    dtype = common_type(dtype, graph_.type(part).dtype);
  }
  size_t at = axis(parts[0], dim, "concat") - first_axis(parts[0]);
  Shape wanted = sample_shape(parts[0]);
  std::vector<ValueId> in;
  for (ValueId part : parts) {
    Shape found = sample_shape(part);
    Shape other = found;
    if (other.size() == wanted.size()) other[at] = wanted[at];
    if (other != wanted) fail_shapes("concat: the shapes differ beside the joined axis", "expected", wanted, "found", found);
    in.push_back(expand(cast(part, dtype), found, per_sample));
  }
  if (in.size() == 1) return in[0];
  return add(OpCode::concat, std::move(in), {.axis = static_cast<int64_t>(at + (per_sample ? 1 : 0))});
}

}  // namespace mlc
