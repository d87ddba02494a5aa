#include "compiler/graph/rewriter.h"

#include <bit>
#include <cmath>

namespace mlc {
namespace {

/// The number that every element of a value is, if it is known.
std::optional<double> known_number(const Rewriter& rw, ValueId id) {
  const Op* op = &rw.op(id);
  if (op->code == OpCode::broadcast) op = &rw.op(op->in[0]);
  if (op->code != OpCode::constant || op->attr.values.size() != 1) return std::nullopt;
  return op->attr.values[0];
}

bool is_number(const Rewriter& rw, ValueId id, double value) {
  auto known = known_number(rw, id);
  return known && std::bit_cast<uint64_t>(*known) == std::bit_cast<uint64_t>(value);
}

/// All values of `from` survive in `to`.
bool widens(DType from, DType to) {
  if (from == DType::boolean) return true;
  if (from == DType::u8) return to == DType::i32 || to == DType::i64 || to == DType::f32 || to == DType::bf16;
  return from == DType::i32 && to == DType::i64;
}

std::optional<ValueId> simplify_unary(Rewriter& rw, const Op& op) {
  ValueId x = op.in[0];
  const Op& operand = rw.op(x);
  switch (op.code) {
  case OpCode::stop_gradient: return x;
  case OpCode::neg:
  case OpCode::logical_not:
    if (operand.code == op.code) return operand.in[0];
    break;
  case OpCode::abs:
    if (operand.code == OpCode::abs) return x;
    if (operand.code == OpCode::neg) {
      Op next = op;
      next.in = {operand.in[0]};
      return rw.emit(std::move(next));
    }
    break;
  case OpCode::cast:
    if (operand.type.dtype == op.type.dtype) return x;
    if (operand.code == OpCode::cast && widens(rw.op(operand.in[0]).type.dtype, operand.type.dtype)) {
      Op next = op;
      next.in = {operand.in[0]};
      return rw.emit(std::move(next));
    }
    break;
  default: break;
  }
  return std::nullopt;
}

/// x / 2^n as x * 2^-n: the same bits, and a multiplication takes a fraction of the time.
std::optional<ValueId> times_reciprocal(Rewriter& rw, const Op& op) {
  auto divisor = known_number(rw, op.in[1]);
  int exponent = 0;
  if (!divisor || std::abs(std::frexp(*divisor, &exponent)) != 0.5 || std::abs(exponent) > 100) return std::nullopt;
  Op number = rw.op(op.in[1]);
  bool spread = number.code == OpCode::broadcast;
  if (spread) number = rw.op(number.in[0]);
  number.attr.values = {1 / *divisor};
  ValueId reciprocal = rw.emit(std::move(number));
  if (spread) {
    Op wide = rw.op(op.in[1]);
    wide.in = {reciprocal};
    reciprocal = rw.emit(std::move(wide));
  }
  Op next = op;
  next.code = OpCode::mul;
  next.in = {op.in[0], reciprocal};
  return rw.emit(std::move(next));
}

/// The one axis that a pad widens, where it fills with -0 (x + -0 is x); -1 otherwise.
int64_t axis_of_gap(const Op& op) {
  int64_t axis = -1;
  if (op.code != OpCode::pad || op.attr.values[0] != 0 || !std::signbit(op.attr.values[0])) return -1;
  for (size_t i = 0; i < op.attr.begin.size(); ++i) {
    if (op.attr.begin[i] == 0 && op.attr.end[i] == 0) continue;
    if (axis >= 0) return -1;
    axis = static_cast<int64_t>(i);
  }
  return axis;
}

/// pad(x) + pad(y), side by side along one axis, as the pad of their concatenation: how the gradients of a value's slices
/// come together.
std::optional<ValueId> join_pads(Rewriter& rw, const Op& op) {
  Op first = rw.op(op.in[0]), second = rw.op(op.in[1]);
  int64_t axis = axis_of_gap(first);
  if (axis < 0 || axis != axis_of_gap(second)) return std::nullopt;
  auto at = static_cast<size_t>(axis);
  if (first.attr.begin[at] > second.attr.begin[at]) std::swap(first, second);
  int64_t n = op.type.shape[at];
  if (n - first.attr.end[at] != second.attr.begin[at]) return std::nullopt;
  Op joined = op;
  joined.code = OpCode::concat;
  joined.attr = {};
  joined.attr.axis = axis;
  joined.in.clear();
  for (ValueId part : {first.in[0], second.in[0]}) {
    const Op& p = rw.op(part);
    if (p.code == OpCode::concat && p.attr.axis == axis) joined.in.insert(joined.in.end(), p.in.begin(), p.in.end());
    else joined.in.push_back(part);
  }
  joined.type.shape[at] = n - first.attr.begin[at] - second.attr.end[at];
  if (joined.type.shape[at] == n) return rw.emit(std::move(joined));
  Op wide = op;
  wide.code = OpCode::pad;
  wide.attr = first.attr;
  wide.attr.end[at] = second.attr.end[at];
  wide.in = {rw.emit(std::move(joined))};
  return rw.emit(std::move(wide));
}

std::optional<ValueId> simplify_binary(Rewriter& rw, const Op& op) {
  ValueId a = op.in[0], b = op.in[1];
  bool whole = op.type.dtype == DType::i32;
  switch (op.code) {
  case OpCode::add:
    // -0 + 0 is 0: only -0 is neutral for floats.
    if (is_number(rw, b, whole ? 0.0 : -0.0)) return a;
    if (is_number(rw, a, whole ? 0.0 : -0.0)) return b;
    return join_pads(rw, op);
  case OpCode::sub:
    if (is_number(rw, b, 0.0)) return a;
    break;
  case OpCode::mul:
    if (is_number(rw, b, 1)) return a;
    if (is_number(rw, a, 1)) return b;
    break;
  case OpCode::div:
    if (is_number(rw, b, 1)) return a;
    if (!whole) return times_reciprocal(rw, op);
    break;
  case OpCode::pow:
    if (is_number(rw, b, 1)) return a;
    break;
  case OpCode::max:
  case OpCode::min:
    if (a == b) return a;
    break;
  case OpCode::logical_and:
    if (a == b || is_number(rw, b, 1) || is_number(rw, a, 0)) return a;
    if (is_number(rw, a, 1) || is_number(rw, b, 0)) return b;
    break;
  case OpCode::logical_or:
    if (a == b || is_number(rw, b, 0) || is_number(rw, a, 1)) return a;
    if (is_number(rw, a, 0) || is_number(rw, b, 1)) return b;
    break;
  default: break;
  }
  return std::nullopt;
}

std::optional<ValueId> simplify_select(Rewriter& rw, const Op& op) {
  ValueId c = op.in[0], a = op.in[1], b = op.in[2];
  if (a == b) return a;
  if (auto known = known_number(rw, c)) return *known != 0 ? a : b;
  if (rw.op(c).code == OpCode::logical_not) {
    Op next = op;
    next.in = {rw.op(c).in[0], b, a};
    return rw.emit(std::move(next));
  }
  return std::nullopt;
}

}  // namespace

std::optional<ValueId> simplify_elementwise(Rewriter& rw, const Op& op) {
  switch (op_info(op.code).cls) {
  case OpClass::unary: return simplify_unary(rw, op);
  case OpClass::binary: return simplify_binary(rw, op);
  case OpClass::select: return simplify_select(rw, op);
  default: return std::nullopt;
  }
}

std::optional<ValueId> hoist_broadcast(Rewriter& rw, const Op& op) {
  if (!is_elementwise(op.code) || op.code == OpCode::copy) return std::nullopt;
  // The widest operand is the model; numbers without axes can be repeated to its shape instead.
  ValueId model = kNoValue;
  auto inner = [&](ValueId id) -> const Op& { return rw.op(rw.op(id).in[0]); };
  for (ValueId operand : op.in) {
    if (rw.op(operand).code != OpCode::broadcast) return std::nullopt;
    if (model == kNoValue || inner(operand).type.shape.size() > inner(model).type.shape.size()) model = operand;
  }
  const Shape shape = inner(model).type.shape;
  const bool per_sample = inner(model).per_sample;
  const std::vector<int64_t> dims = rw.op(model).attr.dims;
  for (ValueId operand : op.in) {
    bool same = inner(operand).type.shape == shape && inner(operand).per_sample == per_sample && rw.op(operand).attr.dims == dims;
    if (!same && !inner(operand).type.shape.empty()) return std::nullopt;
  }
  Op next = op;
  for (ValueId& operand : next.in) {
    ValueId x = rw.op(operand).in[0];
    operand = rw.op(x).type.shape == shape ? x : rw.broadcast(op, x, {}, shape, per_sample);
  }
  next.type.shape = shape;
  next.per_sample = per_sample;
  return rw.broadcast(op, rw.emit(std::move(next)), dims, op.type.shape, op.per_sample);
}

}  // namespace mlc
