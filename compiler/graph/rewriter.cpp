#include "compiler/graph/rewriter.h"

#include "compiler/base/hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace mlc {
namespace {

/// Operand order does not matter to the bits of the result. (max and min of 0 and -0 are not among these.)
bool is_commutative(OpCode code) {
  switch (code) {
  case OpCode::add:
  case OpCode::mul:
  case OpCode::eq:
  case OpCode::ne:
  case OpCode::logical_and:
  case OpCode::logical_or: return true;
  default: return false;
  }
}

struct Hash {
  uint64_t value = 0;
  void add(uint64_t word) {
    value = (value ^ word) * 0x9e3779b97f4a7c15ull;
    value ^= value >> 32;
  }
  template <class T> void add(const std::vector<T>& list) {
    add(list.size());
    for (const T& item : list) {
      if constexpr (std::is_same_v<T, double>) add(std::bit_cast<uint64_t>(item));
      else add(static_cast<uint64_t>(item));
    }
  }
};

/// Operands of commutative ops count in order of their numbers.
bool turned(const Op& op) { return is_commutative(op.code) && op.in[0] > op.in[1]; }

bool same_operands(const Op& a, const Op& b) {
  if (turned(a) == turned(b)) return a.in == b.in;
  return a.in[0] == b.in[1] && a.in[1] == b.in[0];
}

uint64_t hash_op(const Op& op) {
  Hash h;
  h.add(static_cast<uint64_t>(op.code) << 16 | static_cast<uint64_t>(op.type.dtype) << 8 | (op.per_sample ? 1 : 0));
  if (turned(op)) h.add(2), h.add(op.in[1]), h.add(op.in[0]);
  else h.add(op.in);
  h.add(op.type.shape);
  const Attributes& a = op.attr;
  h.add(a.values);
  for (const auto* list : {&a.dims, &a.begin, &a.end, &a.step, &a.size, &a.dilation}) h.add(*list);
  for (uint64_t word : {static_cast<uint64_t>(a.axis), static_cast<uint64_t>(a.tensor), static_cast<uint64_t>(a.index), uint64_t{a.stream},
                        static_cast<uint64_t>(a.groups)})
    h.add(word);
  if (!a.labels.empty()) h.add(hash_bytes(a.labels));
  return h.value;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

bool same_value(const Op& a, const Op& b) {
  if (a.code != b.code || a.type != b.type || a.per_sample != b.per_sample || !same_operands(a, b)) return false;
  const Attributes &x = a.attr, &y = b.attr;
  return same_bits(x.values, y.values) && x.dims == y.dims && x.begin == y.begin && x.end == y.end && x.step == y.step &&
         x.size == y.size && x.dilation == y.dilation && x.groups == y.groups && x.axis == y.axis && x.tensor == y.tensor &&
         x.index == y.index && x.stream == y.stream && x.labels == y.labels;
}

}  // namespace

Rewriter::Rewriter(Graph& from) {
  graph_.name = std::move(from.name);
  graph_.batch = from.batch;
  graph_.tensors = std::move(from.tensors);
  graph_.scopes = std::move(from.scopes);
  graph_.scalars = std::move(from.scalars);
  graph_.host_state = std::move(from.host_state);
  graph_.ops.reserve(from.ops.size());
  hashes_.reserve(from.ops.size());
}

ValueId Rewriter::emit(Op op) {
  for (auto rule : {fold_constants, simplify_elementwise, hoist_broadcast, simplify_shape, fold_transposes})
    if (auto value = rule(*this, op)) {
      ++rewrites_;
      return *value;
    }
  return merge(std::move(op));
}

ValueId Rewriter::merge(Op op) {
  if (2 * graph_.ops.size() >= table_.size()) grow_table();
  uint64_t hash = hash_op(op);
  size_t at = hash & (table_.size() - 1);
  for (; table_[at] != kNoValue; at = (at + 1) & (table_.size() - 1))
    if (hashes_[table_[at]] == hash && same_value(graph_.ops[table_[at]], op)) {
      ++rewrites_;
      return table_[at];
    }
  auto id = static_cast<ValueId>(graph_.ops.size());
  table_[at] = id;
  hashes_.push_back(hash);
  graph_.ops.push_back(std::move(op));
  return id;
}

void Rewriter::grow_table() {
  table_.assign(std::max<size_t>(64, 4 * std::bit_ceil(graph_.ops.size())), kNoValue);
  for (ValueId id = 0; id < hashes_.size(); ++id) {
    size_t at = hashes_[id] & (table_.size() - 1);
    while (table_[at] != kNoValue) at = (at + 1) & (table_.size() - 1);
    table_[at] = id;
  }
}

namespace {

Op derived(const Op& at, OpCode code, std::vector<ValueId> in, Type type, bool per_sample) {
  Op op;
  op.code = code;
  op.in = std::move(in);
  op.type = std::move(type);
  op.per_sample = per_sample;
  op.scope = at.scope;
  op.loc = at.loc;
  return op;
}

}  // namespace

ValueId Rewriter::reshape(const Op& at, ValueId x, Shape shape) {
  const Op& operand = op(x);
  if (operand.type.shape == shape) return x;
  return emit(derived(at, OpCode::reshape, {x}, {operand.type.dtype, std::move(shape)}, operand.per_sample));
}

ValueId Rewriter::broadcast(const Op& at, ValueId x, std::vector<int64_t> dims, Shape shape, bool per_sample) {
  Op next = derived(at, OpCode::broadcast, {x}, {op(x).type.dtype, std::move(shape)}, per_sample);
  next.attr.dims = std::move(dims);
  return emit(std::move(next));
}

ValueId Rewriter::number(const Op& at, double value, DType dtype) {
  Op next = derived(at, OpCode::constant, {}, {dtype, {}}, false);
  next.attr.values = {value};
  return emit(std::move(next));
}

}  // namespace mlc
