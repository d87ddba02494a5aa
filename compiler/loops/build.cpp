#include "compiler/loops/build.h"

#include "compiler/base/diagnostics.h"

#include <bit>

namespace mlc::loops {
namespace {

Elem result_elem(Code code, Elem first) {
  switch (code) {
  // clang-format off
  case Code::lt: case Code::le: case Code::eq: case Code::ne: case Code::unordered:
  case Code::ilt: case Code::ile: case Code::ieq: case Code::ine:
  case Code::pand: case Code::por: case Code::pnot: return Elem::pred;
  case Code::to_i32: case Code::bits_i32: case Code::lane: case Code::from_index: return Elem::i32;
  case Code::to_f32: case Code::bits_f32: case Code::u_to_f32: return Elem::f32;
  case Code::to_index: return Elem::index;
  default: return first;
  // clang-format on
  }
}

}  // namespace

Writer::Writer(Kernel& kernel) : kernel_(kernel) { kernel_.tile = new_reg({Elem::index, false}); }

Reg Writer::new_reg(RegType type) {
  kernel_.regs.push_back(type);
  return static_cast<Reg>(kernel_.regs.size() - 1);
}

Block& Writer::block() { return open_.empty() ? kernel_.body : open_.back().block; }

Reg Writer::constant(double value, Elem elem) {
  std::pair key{static_cast<int>(elem), std::bit_cast<uint64_t>(value)};
  if (auto it = constants_.find(key); it != constants_.end()) return it->second;
  for (auto& o : open_)
    if (auto it = o.constants.find(key); it != o.constants.end()) return it->second;
  Reg r = new_reg({elem, false});
  Stmt s;
  s.instr = {.code = Code::constant, .result = r, .value = value};
  block().push_back(std::move(s));
  (open_.empty() ? constants_ : open_.back().constants)[key] = r;
  return r;
}

Reg Writer::emit(Code code, std::vector<Reg> in) {
  bool vector = code == Code::lane || code == Code::splat;
  for (Reg r : in) vector |= type(r).vector;
  if (code >= Code::sum_lanes && code <= Code::prod_lanes) vector = false;
  Elem first = in.empty() ? Elem::i32 : type(in[code == Code::select ? 1 : 0]).elem;
  Reg r = new_reg({result_elem(code, first), vector});
  Stmt s;
  s.instr = {.code = code, .result = r, .in = std::move(in)};
  block().push_back(std::move(s));
  return r;
}

Reg Writer::load(Access access, bool vector) {
  DType d = kernel_.buffers[static_cast<size_t>(access.buffer)].dtype;
  Reg r = new_reg({d == DType::f32 ? Elem::f32 : d == DType::boolean ? Elem::pred : Elem::i32, vector});
  Stmt s;
  s.instr = {.code = Code::load, .result = r, .access = std::move(access)};
  block().push_back(std::move(s));
  return r;
}

Reg Writer::mix(bool high, Reg a, Reg b, int distance) {
  Reg r = emit(high ? Code::mix_high : Code::mix_low, {a, b});
  block().back().instr.value = distance;
  return r;
}

void Writer::store(Access access, Reg value) {
  Stmt s;
  s.instr = {.code = Code::store, .in = {value}, .access = std::move(access)};
  block().push_back(std::move(s));
}

Reg Writer::splat(Reg r) { return type(r).vector ? r : emit(Code::splat, {r}); }

Reg Writer::begin_for(int64_t begin, int64_t end, int64_t step) {
  Open o;
  o.loop = std::make_unique<For>();
  o.loop->begin = begin, o.loop->end = end, o.loop->step = step;
  o.loop->var = new_reg({Elem::index, false});
  open_.push_back(std::move(o));
  return open_.back().loop->var;
}

Reg Writer::begin_for_regs(Reg begin, Reg end, int64_t step) {
  Reg var = begin_for(int64_t{0}, int64_t{0}, step);
  open_.back().loop->begin_reg = begin;
  open_.back().loop->end_reg = end;
  return var;
}

Reg Writer::carry(Reg init) {
  Reg r = new_reg(type(init));
  open_.back().loop->carried.push_back({r, init, kNoReg});
  return r;
}

void Writer::next(Reg carried, Reg value) {
  for (auto& c : open_.back().loop->carried)
    if (c.reg == carried) {
      ensure(type(value) == type(carried), "a carried value keeps its type");
      c.next = value;
      return;
    }
  throw InternalError("no such carried register in the innermost loop");
}

void Writer::end_for() {
  Open o = std::move(open_.back());
  open_.pop_back();
  o.loop->body = std::move(o.block);
  for (const auto& c : o.loop->carried) ensure(c.next != kNoReg, "a carried register has no next value");
  Stmt s;
  s.kind = Stmt::Kind::loop;
  s.loop = std::move(o.loop);
  block().push_back(std::move(s));
}

void Writer::begin_if(Reg condition) {
  Open o;
  o.branch = std::make_unique<If>();
  o.branch->condition = condition;
  open_.push_back(std::move(o));
}

void Writer::begin_else() {
  Open& o = open_.back();
  o.branch->then = std::move(o.block);
  o.block = Block();
  o.constants.clear();
  o.in_else = true;
}

void Writer::end_if() {
  Open o = std::move(open_.back());
  open_.pop_back();
  (o.in_else ? o.branch->otherwise : o.branch->then) = std::move(o.block);
  Stmt s;
  s.kind = Stmt::Kind::branch;
  s.branch = std::move(o.branch);
  block().push_back(std::move(s));
}

}  // namespace mlc::loops
