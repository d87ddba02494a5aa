#include "compiler/graph/rewriter.h"

#include <algorithm>
#include <numeric>

namespace mlc {
namespace {

std::optional<ValueId> simplify_reshape(Rewriter& rw, const Op& op) {
  const Op& x = rw.op(op.in[0]);
  if (x.type == op.type) return op.in[0];
  switch (x.code) {
  case OpCode::reshape: return rw.reshape(op, x.in[0], op.type.shape);
  case OpCode::input:
  case OpCode::state:
  case OpCode::constant: {
    Op leaf = x;
    leaf.type.shape = op.type.shape;
    return rw.emit(std::move(leaf));
  }
  case OpCode::broadcast: {
    ValueId inner = x.in[0];
    auto moved = reshape_broadcast(x, rw.op(inner).type.shape, rw.op(inner).per_sample, op.type.shape);
    if (!moved) return std::nullopt;
    return rw.broadcast(op, rw.reshape(op, inner, moved->operand), moved->dims, op.type.shape, op.per_sample);
  }
  default: return std::nullopt;
  }
}

std::optional<ValueId> simplify_broadcast(Rewriter& rw, const Op& op) {
  const Op x = rw.op(op.in[0]);
  if (x.type == op.type && x.per_sample == op.per_sample) return op.in[0];
  if (x.per_sample == op.per_sample && x.type.elements() == op.type.elements()) return rw.reshape(op, op.in[0], op.type.shape);
  // Axes of extent 1 need no place of their own; the batch keeps its.
  Shape kept;
  std::vector<int64_t> dims;
  for (size_t i = 0; i < x.type.shape.size(); ++i)
    if (x.type.shape[i] != 1 || (i == 0 && x.per_sample)) kept.push_back(x.type.shape[i]), dims.push_back(op.attr.dims[i]);
  if (kept != x.type.shape) return rw.broadcast(op, rw.reshape(op, op.in[0], kept), dims, op.type.shape, op.per_sample);
  if (x.code == OpCode::broadcast) {
    std::vector<int64_t> composed;
    for (int64_t dim : x.attr.dims) composed.push_back(op.attr.dims[static_cast<size_t>(dim)]);
    return rw.broadcast(op, x.in[0], composed, op.type.shape, op.per_sample);
  }
  return std::nullopt;
}

ValueId emit_transpose(Rewriter& rw, const Op& at, ValueId x, std::vector<int64_t> dims) {
  Op next = at;
  next.in = {x};
  next.type = rw.op(x).type;
  next.per_sample = rw.op(x).per_sample;
  for (size_t i = 0; i < dims.size(); ++i) next.type.shape[i] = rw.op(x).type.shape[static_cast<size_t>(dims[i])];
  next.attr.dims = std::move(dims);
  return rw.emit(std::move(next));
}

std::optional<ValueId> simplify_transpose(Rewriter& rw, const Op& op) {
  const Op x = rw.op(op.in[0]);
  const std::vector<int64_t>& dims = op.attr.dims;
  std::vector<int64_t> moved;  // axes of more than one element, in their new order
  for (int64_t dim : dims)
    if (x.type.shape[static_cast<size_t>(dim)] != 1) moved.push_back(dim);
  if (std::is_sorted(moved.begin(), moved.end())) return rw.reshape(op, op.in[0], op.type.shape);
  if (x.code == OpCode::transpose) {
    std::vector<int64_t> composed;
    for (int64_t dim : dims) composed.push_back(x.attr.dims[static_cast<size_t>(dim)]);
    return emit_transpose(rw, op, x.in[0], std::move(composed));
  }
  if (x.code == OpCode::broadcast) {
    std::vector<int64_t> place(dims.size());  // of the broadcast's axes in the result
    for (size_t i = 0; i < dims.size(); ++i) place[static_cast<size_t>(dims[i])] = static_cast<int64_t>(i);
    std::vector<int64_t> order(x.attr.dims.size()), to;
    std::iota(order.begin(), order.end(), int64_t{0});
    auto target = [&](int64_t axis) { return place[static_cast<size_t>(x.attr.dims[static_cast<size_t>(axis)])]; };
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return target(a) < target(b); });
    for (int64_t axis : order) to.push_back(target(axis));
    return rw.broadcast(op, emit_transpose(rw, op, x.in[0], std::move(order)), std::move(to), op.type.shape, op.per_sample);
  }
  return std::nullopt;
}

std::optional<ValueId> simplify_slice(Rewriter& rw, const Op& op) {
  const Op& x = rw.op(op.in[0]);
  if (x.type == op.type) return op.in[0];
  if (x.code != OpCode::slice) return std::nullopt;
  Op next = op;
  next.in = x.in;
  for (size_t i = 0; i < op.type.shape.size(); ++i) {
    next.attr.begin[i] = x.attr.begin[i] + op.attr.begin[i] * x.attr.step[i];
    next.attr.step[i] = x.attr.step[i] * op.attr.step[i];
    next.attr.end[i] = next.attr.begin[i] + (op.type.shape[i] - 1) * next.attr.step[i] + 1;
  }
  return rw.emit(std::move(next));
}

/// A greatest, smallest or product of one element is that element. (A sum of -0 alone is 0.)
std::optional<ValueId> simplify_reduce(Rewriter& rw, const Op& op) {
  const Op& x = rw.op(op.in[0]);
  bool one = op.code == OpCode::reduce_max || op.code == OpCode::reduce_min || op.code == OpCode::reduce_prod;
  if (!one || op.type.elements() != x.type.elements() || op.per_sample != x.per_sample) return std::nullopt;
  return rw.reshape(op, op.in[0], op.type.shape);
}

}  // namespace

std::optional<ValueId> simplify_shape(Rewriter& rw, const Op& op) {
  switch (op.code) {
  case OpCode::reshape: return simplify_reshape(rw, op);
  case OpCode::broadcast: return simplify_broadcast(rw, op);
  case OpCode::transpose: return simplify_transpose(rw, op);
  case OpCode::slice: return simplify_slice(rw, op);
  case OpCode::pad:
    if (rw.op(op.in[0]).type == op.type) return op.in[0];
    return std::nullopt;
  case OpCode::concat:
    if (op.in.size() == 1) return op.in[0];
    return std::nullopt;
  case OpCode::reduce_max:
  case OpCode::reduce_min:
  case OpCode::reduce_prod: return simplify_reduce(rw, op);
  default: return std::nullopt;
  }
}

std::optional<ValueId> fold_transposes(Rewriter& rw, const Op& op) {
  if (op.code != OpCode::contract) return std::nullopt;
  ContractLabels labels = parse_labels(op.attr.labels);
  Op next = op;
  bool changed = false;
  for (size_t i : {size_t{0}, size_t{1}}) {
    const Op& x = rw.op(op.in[i]);
    if (x.code != OpCode::transpose) continue;
    std::string& own = i == 0 ? labels.a : labels.b;
    std::string before = own;
    for (size_t axis = 0; axis < before.size(); ++axis) own[static_cast<size_t>(x.attr.dims[axis])] = before[axis];
    next.in[i] = x.in[0];
    changed = true;
  }
  if (!changed) return std::nullopt;
  next.attr.labels = labels.a + "," + labels.b + "->" + labels.out;
  return rw.emit(std::move(next));
}

std::optional<ReshapedBroadcast> reshape_broadcast(const Op& broadcast, const Shape& x, bool x_per_sample, const Shape& to) {
  const Shape& from = broadcast.type.shape;
  std::vector<bool> covered(from.size(), false);  // axes along which the operand varies
  for (size_t i = 0; i < x.size(); ++i) covered[static_cast<size_t>(broadcast.attr.dims[i])] = x[i] != 1;
  ReshapedBroadcast out;
  size_t i = 0, j = 0;
  if (broadcast.per_sample) {
    if (x_per_sample) out.operand.push_back(from[0]), out.dims.push_back(0);
    i = j = 1;
  }
  // Axes fall into the smallest runs of equal numbers of elements on both sides.
  while (i < from.size() || j < to.size()) {
    int64_t left = 1, right = 1;
    bool varies = false, repeats = false;
    size_t first = j;
    do {
      if (i < from.size() && (left <= right || j >= to.size())) {
        if (from[i] != 1) (covered[i] ? varies : repeats) = true;
        left *= from[i++];
      } else {
        right *= to[j++];
      }
    } while (left != right);
    if (varies && repeats) return std::nullopt;
    for (size_t axis = first; varies && axis < j; ++axis)
      if (to[axis] != 1) out.operand.push_back(to[axis]), out.dims.push_back(static_cast<int64_t>(axis));
  }
  return out;
}

}  // namespace mlc
