#include "compiler/loops/context.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/host_formula.h"
#include "compiler/loops/group_key.h"
#include "compiler/loops/math.h"

#include <algorithm>
#include <cmath>

namespace mlc::loops {
namespace {

std::vector<int64_t> row_major_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

Elem elem_of(DType d) { return d == DType::f32 ? Elem::f32 : d == DType::boolean ? Elem::pred : Elem::i32; }

bool multiple_of(const Address& a, int64_t n) {
  return a.base % n == 0 && std::all_of(a.terms.begin(), a.terms.end(), [&](const auto& t) { return t.second % n == 0; });
}

Address divided(Address a, int64_t n) {
  a.base /= n;
  for (auto& t : a.terms) t.second /= n;
  return a;
}

}  // namespace

Index fixed(int64_t value) { return {{value, {}}, 0, {}}; }
Index along(Reg var, int64_t scale, int64_t base) { return {{base, {{var, scale}}}, 0, {}}; }
Index lanes_of(Reg block) { return {{0, {{block, kLanes}}}, 1, {}}; }
Index in_block(Reg block, const Address& within) {
  Address start{0, {{block, 1}}};
  return {plus(within, start, kLanes), 0, std::pair(start, within)};
}

Address plus(Address a, const Address& b, int64_t scale) {
  if (scale == 0) return a;
  a.base += b.base * scale;
  for (auto [r, c] : b.terms) {
    auto it = std::find_if(a.terms.begin(), a.terms.end(), [r = r](const auto& t) { return t.first == r; });
    if (it == a.terms.end()) a.terms.push_back({r, c * scale});
    else it->second += c * scale;
  }
  return a;
}

Context::Context(const Graph& graph, const Group& group, const Plan& plan, Lowered& out)
    : graph_(graph), group_(group), plan_(plan), out_(out), writer_(out.kernel), inside_(group.body.begin(), group.body.end()), scopes_(1) {
  for (const Store& s : graph.stores)
    if (inside_.count(s.value)) stores_.push_back(s);
}

int Context::argument(ArgRef ref, DType dtype, bool written, std::string name) {
  // Two names of one stretch of memory are one argument: arguments are told apart by address in the code.
  ref = argument_place(plan_, ref);
  int index = 0;
  for (size_t i = 0; i < out_.kernel.buffers.size(); ++i) {
    if (out_.kernel.buffers[i].kind != KernelBuffer::Kind::argument) continue;
    if (out_.args[static_cast<size_t>(index++)] == ref) {
      out_.kernel.buffers[i].written |= written;
      return static_cast<int>(i);
    }
  }
  out_.args.push_back(ref);
  out_.kernel.buffers.push_back({KernelBuffer::Kind::argument, dtype, 0, written, std::move(name)});
  return static_cast<int>(out_.kernel.buffers.size() - 1);
}

int Context::scratch(int64_t elements, DType dtype) {
  out_.kernel.buffers.push_back({KernelBuffer::Kind::scratch, dtype, elements, true, ""});
  return static_cast<int>(out_.kernel.buffers.size() - 1);
}

int Context::scalars(DType dtype) {
  for (size_t i = 0; i < out_.kernel.buffers.size(); ++i)
    if (out_.kernel.buffers[i].kind == KernelBuffer::Kind::scalars && out_.kernel.buffers[i].dtype == dtype) return static_cast<int>(i);
  out_.kernel.buffers.push_back({KernelBuffer::Kind::scalars, dtype, 0, false, ""});
  return static_cast<int>(out_.kernel.buffers.size() - 1);
}

// --- addresses ---

Access Context::finish(Access a) const {
  if (a.stride != 0 || a.offsets != kNoReg) a.count = count_, a.count_reg = count_reg_;
  return a;
}

Access Context::access(int buffer, const Type& type, const Layout& layout, const Indices& idx) {
  size_t rank = type.shape.size();
  ensure(idx.size() == rank, "lower: an index has the rank of its value");
  std::vector<int64_t> stride(rank, 1);
  int64_t block_stride = 0, s = layout.blocked >= 0 ? layout.block : 1;
  for (size_t i = rank; i-- > 0;) {
    auto axis = layout.order.empty() ? i : static_cast<size_t>(layout.order[i]);
    bool split = static_cast<int>(axis) == layout.blocked;
    (split ? block_stride : stride[axis]) = s;
    s *= split ? (type.shape[axis] + layout.block - 1) / layout.block : type.shape[axis];
  }
  Access a;
  a.buffer = buffer;
  a.stride = 0;
  Reg lane_offsets = kNoReg;   // of an axis whose lanes straddle its blocks
  for (size_t axis = 0; axis < rank; ++axis) {
    const Index& i = idx[axis];
    if (static_cast<int>(axis) != layout.blocked) {
      a.at = plus(std::move(a.at), i.at, stride[axis]);
      a.stride += i.lane * stride[axis];
      continue;
    }
    if (i.split) {
      a.at = plus(std::move(a.at), i.split->first, block_stride);
      a.at = plus(std::move(a.at), i.split->second);
    } else if (multiple_of(i.at, layout.block) && i.lane >= 0 && i.lane <= 1) {
      a.at = plus(std::move(a.at), divided(i.at, layout.block), block_stride);
      a.stride += i.lane;
    } else if (i.lane == 0) {
      Reg r = index_reg(i.at), block = w().constant(static_cast<double>(layout.block), Elem::index);
      a.at = plus(std::move(a.at), {0, {{w().emit(Code::xdiv, {r, block}), block_stride}}});
      a.at = plus(std::move(a.at), {0, {{w().emit(Code::xmod, {r, block}), 1}}});
    } else {
      Reg i32 = integer(i), shift = w().constant(4, Elem::i32), mask = w().constant(15, Elem::i32);
      Reg block = w().emit(Code::ilshr, {i32, shift}), rest = w().emit(Code::iand, {i32, mask});
      lane_offsets =
          w().emit(Code::iadd, {w().emit(Code::imul, {block, w().constant(static_cast<double>(block_stride), Elem::i32)}), rest});
    }
  }
  if (lane_offsets != kNoReg) {
    if (a.stride) {
      Reg lanes = w().emit(Code::imul, {w().emit(Code::lane, {}), w().constant(static_cast<double>(a.stride), Elem::i32)});
      lane_offsets = w().emit(Code::iadd, {lane_offsets, lanes});
    }
    a.offsets = lane_offsets;
    a.stride = 1;
  }
  return finish(a);
}

Reg Context::lane_mask() {
  if (count_reg_ == kNoReg && count_ == kLanes) return kNoReg;
  Reg limit = count_reg_ != kNoReg ? w().emit(Code::from_index, {count_reg_}) : w().constant(count_, Elem::i32);
  return w().emit(Code::ilt, {w().emit(Code::lane, {}), limit});
}

Reg Context::index_reg(const Address& at) {
  Reg sum = kNoReg;
  for (auto [r, c] : at.terms) {
    Reg term = c == 1 ? r : w().emit(Code::xmul, {r, w().constant(static_cast<double>(c), Elem::index)});
    sum = sum == kNoReg ? term : w().emit(Code::xadd, {sum, term});
  }
  if (sum == kNoReg) return w().constant(static_cast<double>(at.base), Elem::index);
  return at.base ? w().emit(Code::xadd, {sum, w().constant(static_cast<double>(at.base), Elem::index)}) : sum;
}

Reg Context::integer(const Index& index) {
  Reg base = index.at.terms.empty() ? w().constant(static_cast<double>(index.at.base), Elem::i32)
                                    : w().emit(Code::from_index, {index_reg(index.at)});
  if (index.lane == 0) return base;
  Reg lanes = w().emit(Code::lane, {});
  if (index.lane != 1) lanes = w().emit(Code::imul, {lanes, w().constant(static_cast<double>(index.lane), Elem::i32)});
  return w().emit(Code::iadd, {base, lanes});
}

// --- scopes and loops ---

void Context::open() { scopes_.emplace_back(); }
void Context::close() { scopes_.pop_back(); }

Reg Context::loop(int64_t begin, int64_t end, int64_t step) {
  open();
  return w().begin_for(begin, end, step);
}
Reg Context::loop_regs(Reg begin, Reg end, int64_t step) {
  open();
  return w().begin_for_regs(begin, end, step);
}
void Context::end_loop() {
  w().end_for();
  close();
}

bool Context::defined(ValueId value) const {
  return std::any_of(scopes_.begin(), scopes_.end(), [&](const Scope& s) { return s.values.count(value); });
}

Indices Context::index_of(ValueId op) {
  Indices idx;
  for (int cls : axes_.result.at(op)) {
    bool single = axes_.extent[static_cast<size_t>(cls)] == 1;
    ensure(single || vars_[static_cast<size_t>(cls)].has_value(), "lower: an op is computed outside of its loops");
    idx.push_back(vars_[static_cast<size_t>(cls)].value_or(fixed(0)));
  }
  return idx;
}

Indices Context::operand_index(ValueId op, size_t operand) {
  Indices idx;
  for (int cls : axes_.operands.at(op)[operand]) idx.push_back(vars_[static_cast<size_t>(cls)].value_or(fixed(0)));
  return idx;
}

Address Context::saved_address(const Saved& saved) {
  Address at;
  std::vector<int64_t> strides = row_major_strides(saved.shape);
  for (size_t i = 0; i < saved.classes.size(); ++i) {
    const Index& var = *vars_[static_cast<size_t>(saved.classes[i])];
    at = plus(std::move(at), var.at, strides[i] * (saved.lanes ? kLanes : 1));
  }
  return at;
}

// --- values ---

Reg Context::eval(ValueId value, const Indices& idx) {
  if (inside_.count(value)) {
    for (size_t i = scopes_.size(); i-- > 0;)
      if (auto it = scopes_[i].values.find(value); it != scopes_[i].values.end()) return it->second;
    Reg r = compute(value);
    define(value, r);
    return r;
  }
  std::pair key{value, idx};
  for (size_t i = scopes_.size(); i-- > 0;)
    if (auto it = scopes_[i].reads.find(key); it != scopes_[i].reads.end()) return it->second;
  Reg r = read(value, idx);
  scopes_.back().reads[key] = r;
  return r;
}

Reg Context::compute(ValueId id) {
  const Op& op = graph_.ops[id];
  if (auto it = saved_.find(id); it != saved_.end()) {
    Access a{.buffer = it->second.buffer, .at = saved_address(it->second)};
    return w().load(a, it->second.lanes);
  }
  if (op.code == OpCode::take) return take(id);
  if (op.code == OpCode::resample) return resample(id);
  ensure(is_elementwise(op.code), "lower: a reduction is read before its loop has run");
  Indices idx = index_of(id);
  std::vector<Reg> in;
  for (ValueId operand : op.in) in.push_back(eval(operand, idx));
  return arithmetic(id, in);
}

Indices Context::reshape_index(const Shape& from, const Shape& to, const Indices& idx, bool per_sample) {
  // Per-sample values keep their first axis. The others fall into the shortest runs of axes with equal numbers of
  // elements: within a run one linear index goes over from one shape to the other.
  Indices out;
  size_t i = 0, j = 0;
  if (per_sample) out.push_back(idx[0]), i = j = 1;
  while (i < from.size() || j < to.size()) {
    size_t i_end = i, j_end = j;
    int64_t have = 1, want = 1;
    do {
      if (i_end < from.size() && (have <= want || j_end == to.size())) have *= from[i_end++];
      else want *= to[j_end++];
    } while (have != want);
    while (i_end < from.size() && from[i_end] == 1) ++i_end;
    while (j_end < to.size() && to[j_end] == 1) ++j_end;
    Index linear = fixed(0);
    int64_t stride = 1;
    for (size_t k = j_end; k-- > j; stride *= to[k]) {
      linear.at = plus(std::move(linear.at), idx[k].at, stride);
      linear.lane += idx[k].lane * stride;
      if (stride == 1 && to[k] > 1) linear.split = idx[k].split;
      else if (to[k] > 1) linear.split.reset();
    }
    split_index(linear, Shape(from.begin() + static_cast<std::ptrdiff_t>(i), from.begin() + static_cast<std::ptrdiff_t>(i_end)), out);
    i = i_end, j = j_end;
  }
  return out;
}

// A linear index as one index for each axis of `shape`, outermost first.
void Context::split_index(const Index& linear, const Shape& shape, Indices& out) {
  auto wide = std::count_if(shape.begin(), shape.end(), [](int64_t e) { return e != 1; });
  if (wide <= 1) {
    for (int64_t e : shape) out.push_back(e == 1 ? fixed(0) : linear);
    return;
  }
  if (linear.lane != 0) throw NeedsScalars{};
  int64_t rest = element_count(shape);
  Reg at = index_reg(linear.at);
  for (int64_t e : shape) {
    if (e == 1) {
      out.push_back(fixed(0));
      continue;
    }
    rest /= e;
    Reg q = rest == 1 ? at : w().emit(Code::xdiv, {at, w().constant(static_cast<double>(rest), Elem::index)});
    out.push_back(along(q));
    if (rest != 1) at = w().emit(Code::xmod, {at, w().constant(static_cast<double>(rest), Elem::index)});
  }
}

Reg Context::read(ValueId id, const Indices& idx) {
  const Op& op = graph_.ops[id];
  if (square_)
    if (Reg r = transposed(id, idx); r != kNoReg) return r;
  switch (op.code) {
  case OpCode::constant: {
    if (op.attr.values.size() == 1) return w().constant(op.attr.values[0], elem_of(op.type.dtype));
    Index linear = fixed(0);
    std::vector<int64_t> strides = row_major_strides(op.type.shape);
    for (size_t i = 0; i < idx.size(); ++i) {
      linear.at = plus(std::move(linear.at), idx[i].at, strides[i]);
      linear.lane += idx[i].lane * strides[i];
    }
    out_.kernel.buffers.push_back(
        {KernelBuffer::Kind::constants, op.type.dtype, static_cast<int64_t>(op.attr.values.size()), false, "", op.attr.values});
    Access a{.buffer = static_cast<int>(out_.kernel.buffers.size() - 1), .at = linear.at, .stride = linear.lane};
    return w().load(finish(a), linear.lane != 0);
  }
  case OpCode::iota: {
    Reg i = integer(idx[static_cast<size_t>(op.attr.axis)]);
    return op.type.dtype == DType::f32 ? w().emit(Code::to_f32, {i}) : i;
  }
  case OpCode::input: return input(id, idx);
  case OpCode::scalar: {
    Access a{.buffer = scalars(DType::f32), .at = {kFirstScalar + op.attr.index, {}}};
    return w().load(a, false);
  }
  case OpCode::uniform:
  case OpCode::normal: return random(id, idx);
  case OpCode::broadcast: {
    Indices inner;
    const Shape& from = graph_.ops[op.in[0]].type.shape;
    for (size_t j = 0; j < from.size(); ++j) {
      auto axis = static_cast<size_t>(op.attr.dims[j]);
      inner.push_back(from[j] == 1 && op.type.shape[axis] != 1 ? fixed(0) : idx[axis]);
    }
    return eval(op.in[0], inner);
  }
  case OpCode::transpose: {
    Indices inner(idx.size());
    for (size_t i = 0; i < idx.size(); ++i) inner[static_cast<size_t>(op.attr.dims[i])] = idx[i];
    return eval(op.in[0], inner);
  }
  case OpCode::slice: {
    Indices inner = idx;
    for (size_t i = 0; i < idx.size(); ++i) {
      inner[i].at = plus({op.attr.begin[i], {}}, idx[i].at, op.attr.step[i]);
      inner[i].lane *= op.attr.step[i];
    }
    return eval(op.in[0], inner);
  }
  case OpCode::reshape: return eval(op.in[0], reshape_index(graph_.ops[op.in[0]].type.shape, op.type.shape, idx, op.per_sample));
  case OpCode::state: {
    const Tensor& t = graph_.tensors[static_cast<size_t>(op.attr.tensor)];
    int b = argument({ArgRef::Kind::state, kNoValue, op.attr.tensor}, t.type.dtype, false, t.path);
    Access a = access(b, op.type, {}, idx);
    return w().load(a, a.stride != 0 || a.offsets != kNoReg);
  }
  default: {
    int b = argument({ArgRef::Kind::value, id, -1}, op.type.dtype, false, "%" + std::to_string(id));
    Access a = access(b, op.type, op.layout, idx);
    return w().load(a, a.stride != 0 || a.offsets != kNoReg);
  }
  }
}

Reg Context::input(ValueId id, const Indices& idx) {
  const Op& op = graph_.ops[id];
  const Tensor& t = graph_.tensors[static_cast<size_t>(op.attr.tensor)];
  int column = argument({ArgRef::Kind::column, kNoValue, op.attr.tensor}, t.type.dtype, false, t.path);
  int rows = argument({ArgRef::Kind::rows, kNoValue, -1}, DType::i32, false, "rows");
  Address within;
  int64_t lane = 0, stride = 1;
  for (size_t i = idx.size(); i > 1; --i) {
    within = plus(std::move(within), idx[i - 1].at, stride);
    lane += idx[i - 1].lane * stride;
    stride *= op.type.shape[i - 1];
  }
  int64_t row_elements = t.row_pitch();
  Access a{.buffer = column, .at = within, .stride = lane};
  if (idx[0].lane != 0) {
    if (lane != 0) throw NeedsScalars{};
    Access r{.buffer = rows, .at = idx[0].at, .stride = idx[0].lane};
    a.offsets = w().load(finish(r), true);
    a.scale = row_elements;
    return w().load(finish(a), true);
  }
  Access r{.buffer = rows, .at = idx[0].at};
  Reg row = w().emit(Code::to_index, {w().load(r, false)});
  a.at = plus(std::move(a.at), {0, {{row, row_elements}}});
  return w().load(finish(a), lane != 0);
}

Reg Context::take(ValueId id) {
  // The table lies in memory; an index outside of it is clamped, so that no wrong address is ever read.
  const Op& op = graph_.ops[id];
  Indices idx = index_of(id);
  size_t rank = graph_.ops[op.in[1]].type.shape.size();
  Reg row = eval(op.in[1], Indices(idx.begin(), idx.begin() + static_cast<std::ptrdiff_t>(rank)));
  Source table = sources_of(graph_, id)[0];
  const Op& t = graph_.ops[op.in[0]];
  int64_t rows = t.type.shape[0], width = t.type.elements() / rows;
  Reg zero = w().constant(0, Elem::i32), last = w().constant(static_cast<double>(rows - 1), Elem::i32);
  row = w().select(w().emit(Code::ilt, {row, zero}), zero, w().select(w().emit(Code::ilt, {last, row}), last, row));
  ensure(table.value == op.in[0], "lower: a table lies in memory");
  bool state = t.code == OpCode::state;
  int b = state ? argument({ArgRef::Kind::state, kNoValue, t.attr.tensor}, t.type.dtype, false,
                           graph_.tensors[static_cast<size_t>(t.attr.tensor)].path)
                : argument({ArgRef::Kind::value, op.in[0], -1}, t.type.dtype, false, "%" + std::to_string(op.in[0]));
  Access a{.buffer = b, .stride = 0};
  std::vector<int64_t> strides = row_major_strides(t.type.shape);
  for (size_t i = rank; i < idx.size(); ++i) {
    a.at = plus(std::move(a.at), idx[i].at, strides[i - rank + 1]);
    a.stride += idx[i].lane * strides[i - rank + 1];
  }
  if (!w().type(row).vector) {
    a.at = plus(std::move(a.at), {0, {{w().emit(Code::to_index, {row}), width}}});
    return w().load(finish(a), a.stride != 0);
  }
  if (a.stride != 0) throw NeedsScalars{};
  a.offsets = row;
  a.scale = width;
  return w().load(finish(a), true);
}

Reg Context::random(ValueId id, const Indices& idx) {
  const Op& op = graph_.ops[id];
  size_t first = op.per_sample ? 1 : 0;
  Index element = fixed(0);
  int64_t stride = 1;
  for (size_t i = idx.size(); i > first; --i) {
    element.at = plus(std::move(element.at), idx[i - 1].at, stride);
    element.lane += idx[i - 1].lane * stride;
    stride *= op.type.shape[i - 1];
  }
  int table = scalars(DType::i32);
  auto word = [&](int64_t at) { return w().load({.buffer = table, .at = {at, {}}}, false); };
  auto i32 = [&](double v) { return w().constant(v, Elem::i32); };
  Reg e = integer(element), sample = op.per_sample ? integer(idx[0]) : i32(0);
  auto words = math_philox(w(), {w().emit(Code::ilshr, {e, i32(2)}), sample, word(kStepScalar), i32(static_cast<int32_t>(op.attr.stream))},
                           {word(kSeedLowScalar), word(kSeedHighScalar)});
  Reg which = w().emit(Code::iand, {e, i32(3)});
  auto pick = [&](Reg w0, Reg w1, Reg w2, Reg w3) {
    auto is = [&](int n) { return w().emit(Code::ieq, {which, i32(n)}); };
    return w().select(is(0), w0, w().select(is(1), w1, w().select(is(2), w2, w3)));
  };
  if (op.code == OpCode::uniform) {
    Reg bits = w().emit(Code::ilshr, {pick(words[0], words[1], words[2], words[3]), i32(8)});
    return w().mul(w().emit(Code::to_f32, {bits}), w().constant(0x1p-24));
  }
  // Box-Muller on the words of an even element and its odd neighbour.
  Reg u = w().emit(Code::u_to_f32, {pick(words[0], words[0], words[2], words[2])});
  Reg v = w().emit(Code::u_to_f32, {pick(words[1], words[1], words[3], words[3])});
  u = w().mul(w().add(u, w().constant(1)), w().constant(0x1p-32));
  Reg radius = w().emit(Code::sqrt, {w().mul(math_log(w(), u), w().constant(-2))});
  Reg angle = w().mul(v, w().constant(6.283185307179586 * 0x1p-32));
  Reg odd = w().emit(Code::ine, {w().emit(Code::iand, {e, i32(1)}), i32(0)});
  return w().mul(radius, w().select(odd, math_sin(w(), angle), math_cos(w(), angle)));
}

void Context::write(ValueId value, Reg reg, const Indices& idx) {
  const Op& op = graph_.ops[value];
  auto put = [&](int buffer, const Type& type, const Layout& layout) {
    Access a = access(buffer, type, layout, idx);
    bool vector = a.stride != 0 || a.offsets != kNoReg;
    w().store(a, vector ? w().splat(reg) : reg);
  };
  if (plan_.buffer_of.count(value))
    put(argument({ArgRef::Kind::value, value, -1}, op.type.dtype, true, "%" + std::to_string(value)), op.type, op.layout);
  for (const Store& s : stores_) {
    if (s.value != value) continue;
    const Tensor& t = graph_.tensors[static_cast<size_t>(s.tensor)];
    ArgRef ref{t.role == Role::output ? ArgRef::Kind::output : ArgRef::Kind::state, kNoValue, s.tensor};
    put(argument(ref, t.type.dtype, true, t.path), op.type, {});
  }
}

}  // namespace mlc::loops
