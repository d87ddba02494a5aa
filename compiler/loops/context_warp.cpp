// An image seen through a matrix: the place is computed, the pixels are gathered.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/context.h"

namespace mlc::loops {

Reg Context::warp(ValueId id) {
  const Op& op = graph_.ops[id];
  Indices idx = index_of(id);
  int64_t height = op.type.shape[2], width = op.type.shape[3];
  bool each = graph_.type(op.in[1]).shape.size() == 3;
  auto number = [&](double v) { return w().constant(v); };
  auto matrix = [&](int64_t row, int64_t column) {
    Indices at = each ? Indices{idx[0], fixed(row), fixed(column)} : Indices{fixed(row), fixed(column)};
    return eval(op.in[1], at);
  };
  double cx = static_cast<double>(width - 1) / 2, cy = static_cast<double>(height - 1) / 2;
  Reg dx = w().sub(w().emit(Code::to_f32, {integer(idx[3])}), number(cx)),
      dy = w().sub(w().emit(Code::to_f32, {integer(idx[2])}), number(cy));
  auto coordinate = [&](int64_t row, double centre) {
    Reg turned = w().add(w().mul(matrix(row, 0), dx), w().mul(matrix(row, 1), dy));
    return w().add(w().add(turned, matrix(row, 2)), number(centre));
  };
  Reg x = coordinate(0, cx), y = coordinate(1, cy);

  const Op& image = graph_.ops[op.in[0]];
  ensure(image.code == OpCode::state || !is_inline(image.code), "lower: an image lies in memory");
  auto pixel = [&](Reg px, Reg py) {
    auto inside = [&](Reg v, int64_t extent) {
      return w().emit(Code::pand, {w().emit(Code::le, {number(0), v}), w().emit(Code::lt, {v, number(static_cast<double>(extent))})});
    };
    Reg in = w().emit(Code::pand, {inside(px, width), inside(py, height)});
    auto whole = [&](Reg v) { return w().emit(Code::to_i32, {w().select(in, v, number(0))}); };
    return w().select(in, gather(op.in[0], idx[0], idx[1], whole(py), whole(px)), number(0));
  };
  if (op.attr.labels == "nearest") return pixel(w().emit(Code::round, {x}), w().emit(Code::round, {y}));
  Reg left = w().emit(Code::floor, {x}), top = w().emit(Code::floor, {y}), one = number(1);
  Reg u = w().sub(x, left), v = w().sub(y, top), right = w().add(left, one), bottom = w().add(top, one);
  auto between = [&](Reg a, Reg b, Reg part) { return w().add(w().mul(a, w().sub(one, part)), w().mul(b, part)); };
  Reg above = between(pixel(left, top), pixel(right, top), u), below = between(pixel(left, bottom), pixel(right, bottom), u);
  return between(above, below, v);
}

// image[samples, channel, row, column] with rows and columns in registers, scalar or one per lane.
Reg Context::gather(ValueId image, const Index& samples, const Index& channel, Reg row, Reg column) {
  const Op& op = graph_.ops[image];
  int b = op.code == OpCode::state ? argument({ArgRef::Kind::state, kNoValue, op.attr.tensor}, op.type.dtype, false,
                                              graph_.tensors[static_cast<size_t>(op.attr.tensor)].path)
                                   : argument({ArgRef::Kind::value, image, -1}, op.type.dtype, false, "%" + std::to_string(image));
  Access a = access(b, op.type, op.layout, {samples, channel, fixed(0), fixed(0)});
  int64_t step = access(b, op.type, op.layout, {samples, channel, fixed(0), fixed(1)}).at.base - a.at.base;
  auto i32 = [&](int64_t v) { return w().constant(static_cast<double>(v), Elem::i32); };
  Reg place = w().emit(Code::iadd, {w().emit(Code::imul, {row, i32(op.type.shape[3])}), column});
  if (!w().type(place).vector && samples.lane == 0 && channel.lane == 0) {
    a.at = plus(std::move(a.at), {0, {{w().emit(Code::to_index, {place}), step}}});
    return w().load(finish(a), false);
  }
  place = w().emit(Code::imul, {place, i32(step)});
  if (a.stride) place = w().emit(Code::iadd, {place, w().emit(Code::imul, {w().emit(Code::lane, {}), i32(a.stride)})});
  a.offsets = place;
  a.stride = 1;
  return w().load(finish(a), true);
}

}  // namespace mlc::loops
