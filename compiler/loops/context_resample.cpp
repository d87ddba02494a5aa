// An image read at computed places, and the scatter to them: pixels are found by index, one in each lane.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/context.h"

namespace mlc::loops {

std::vector<Context::Pixel> Context::pixels(const Op& op, int64_t height, int64_t width, Reg x, Reg y) {
  auto number = [&](double v) { return w().constant(v); };
  auto pixel = [&](Reg column, Reg row, Reg weight) {
    auto within = [&](Reg v, int64_t extent) {
      return w().emit(Code::pand, {w().emit(Code::le, {number(0), v}), w().emit(Code::lt, {v, number(static_cast<double>(extent))})});
    };
    Reg inside = w().emit(Code::pand, {within(column, width), within(row, height)});
    auto whole = [&](Reg v) { return w().emit(Code::to_i32, {w().select(inside, v, number(0))}); };
    Reg line = w().emit(Code::imul, {whole(row), w().constant(static_cast<double>(width), Elem::i32)});
    return Pixel{inside, w().emit(Code::iadd, {line, whole(column)}), weight};
  };
  if (op.attr.labels == "nearest") return {pixel(w().emit(Code::round, {x}), w().emit(Code::round, {y}), kNoReg)};
  Reg left = w().emit(Code::floor, {x}), top = w().emit(Code::floor, {y}), one = number(1);
  Reg right = w().add(left, one), bottom = w().add(top, one);
  Reg u = w().sub(x, left), v = w().sub(y, top), u0 = w().sub(one, u), v0 = w().sub(one, v);
  return {pixel(left, top, w().mul(u0, v0)), pixel(right, top, w().mul(u, v0)), pixel(left, bottom, w().mul(u0, v)),
          pixel(right, bottom, w().mul(u, v))};
}

Access Context::pixel_access(int buffer, const Op& image, const Index& samples, const Index& channel, Reg place) {
  Access a = access(buffer, image.type, image.layout, {samples, channel, fixed(0), fixed(0)});
  int64_t step = access(buffer, image.type, image.layout, {samples, channel, fixed(0), fixed(1)}).at.base - a.at.base;
  if (!w().type(place).vector) {
    a.at = plus(std::move(a.at), {0, {{w().emit(Code::to_index, {place}), step}}});
    return finish(a);
  }
  auto i32 = [&](int64_t v) { return w().constant(static_cast<double>(v), Elem::i32); };
  Reg offsets = w().emit(Code::imul, {place, i32(step)});
  if (a.stride) offsets = w().emit(Code::iadd, {offsets, w().emit(Code::imul, {w().emit(Code::lane, {}), i32(a.stride)})});
  a.offsets = offsets;
  a.stride = 1;
  return finish(a);
}

Reg Context::resample(ValueId id) {
  const Op &op = graph_.ops[id], &image = graph_.ops[op.in[0]];
  ensure(image.code == OpCode::state || !is_inline(image.code), "lower: an image lies in memory");
  int b = image.code == OpCode::state
              ? argument({ArgRef::Kind::state, kNoValue, image.attr.tensor}, image.type.dtype, false,
                         graph_.tensors[static_cast<size_t>(image.attr.tensor)].path)
              : argument({ArgRef::Kind::value, op.in[0], -1}, image.type.dtype, false, "%" + std::to_string(op.in[0]));
  Indices idx = index_of(id), at{idx[2], idx[3]};
  if (graph_.type(op.in[1]).shape.size() == 3) at.insert(at.begin(), idx[0]);
  Reg x = eval(op.in[1], at), y = eval(op.in[2], at), zero = w().constant(0), sum = kNoReg;
  for (const Pixel& p : pixels(op, image.type.shape[2], image.type.shape[3], x, y)) {
    Access a = pixel_access(b, image, idx[0], idx[1], p.place);
    Reg value = w().select(p.inside, w().load(a, a.stride != 0), zero);
    if (p.weight != kNoReg) value = w().mul(value, p.weight);
    sum = sum == kNoReg ? value : w().add(sum, value);
  }
  return sum;
}

}  // namespace mlc::loops
