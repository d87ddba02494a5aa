#include "compiler/emit/llvm.h"

#include "compiler/base/diagnostics.h"

#include <bit>
#include <cstdio>
#include <set>
#include <unordered_map>
#include <vector>

namespace mlc {
namespace {

using namespace loops;

std::string float_literal(double value) {
  // LLVM writes f32 constants as the bits of the equal double.
  auto bits = std::bit_cast<uint64_t>(static_cast<double>(static_cast<float>(value)));
  char text[32];
  std::snprintf(text, sizeof text, "0x%016llX", static_cast<unsigned long long>(bits));
  return text;
}

std::string memory_type(DType d) {
  switch (d) {
  case DType::f32: return "float";
  case DType::i32: return "i32";
  case DType::i64: return "i64";
  case DType::u8:
  case DType::boolean: return "i8";
  case DType::bf16: break;
  }
  throw InternalError("emit: element type without a memory form");
}

class Emitter {
public:
  Emitter(const Kernel& kernel, int lanes) : k_(kernel), lanes_(lanes), parts_(kLanes / lanes), names_(kernel.regs.size()) {
    ensure(lanes == 4 || lanes == 8 || lanes == 16, "vectors have 4, 8 or 16 lanes");
  }

  std::string run() {
    emit_entry();
    std::string head = "define private void @" + k_.name + ".body(";
    for (size_t i = 0; i < k_.buffers.size(); ++i)
      if (k_.buffers[i].kind == KernelBuffer::Kind::argument) head += "ptr noalias nocapture %b" + std::to_string(i) + ", ";
    head += "ptr noalias nocapture readonly %scalars, i64 %tile_begin, i64 %tile_end) " + std::string(kAttributes) + " {\nentry:\n";
    std::string allocas;
    for (size_t i = 0; i < k_.buffers.size(); ++i) {
      const KernelBuffer& b = k_.buffers[i];
      if (b.kind == KernelBuffer::Kind::scratch)
        allocas += "  %b" + std::to_string(i) + " = alloca [" + std::to_string(b.elements) + " x " + memory_type(b.dtype) + "], align 64\n";
    }
    std::string tile = "%r" + std::to_string(k_.tile);
    names_[static_cast<size_t>(k_.tile)] = {tile};
    line("br label %tile.head");
    label("tile.head");
    out_ += "  " + tile + " = phi i64 [ %tile_begin, %entry ], [ %tile.next, %tile.latch ]\n";
    line("%tile.more = icmp slt i64 " + tile + ", %tile_end");
    line("br i1 %tile.more, label %tile.body, label %tile.exit");
    label("tile.body");
    block(k_.body);
    line("br label %tile.latch");
    label("tile.latch");
    line("%tile.next = add i64 " + tile + ", 1");
    line("br label %tile.head");
    label("tile.exit");
    line("ret void");
    return constants() + entry_ + head + allocas + out_ + "}\n";
  }

private:
  static constexpr const char* kAttributes =
      "nounwind \"no-builtins\" \"frame-pointer\"=\"none\" \"denormal-fp-math\"=\"preserve-sign,preserve-sign\" "
      "\"prefer-vector-width\"=\"512\" \"min-legal-vector-width\"=\"512\"";

  // Tables of numbers become private globals; an access reads them like any buffer.
  std::string constants() const {
    std::string text;
    for (size_t i = 0; i < k_.buffers.size(); ++i) {
      const KernelBuffer& b = k_.buffers[i];
      if (b.kind != KernelBuffer::Kind::constants) continue;
      std::string element = memory_type(b.dtype);
      text +=
          "@" + k_.name + ".c" + std::to_string(i) + " = private constant [" + std::to_string(b.values.size()) + " x " + element + "] [";
      for (size_t v = 0; v < b.values.size(); ++v)
        text += (v ? ", " : "") + element + " " +
                (b.dtype == DType::f32 ? float_literal(b.values[v]) : std::to_string(static_cast<int64_t>(b.values[v])));
      text += "], align 64\n";
    }
    return text;
  }

  void emit_entry() {
    entry_ = "define void @" + k_.name + "(ptr %buffers, ptr %scalars, i64 %tile_begin, i64 %tile_end) " + kAttributes + " {\n";
    std::string call;
    int argument = 0;
    for (size_t i = 0; i < k_.buffers.size(); ++i) {
      if (k_.buffers[i].kind != KernelBuffer::Kind::argument) continue;
      std::string n = std::to_string(i);
      entry_ += "  %p" + n + " = getelementptr ptr, ptr %buffers, i64 " + std::to_string(argument++) + "\n  %b" + n +
                " = load ptr, ptr %p" + n + "\n";
      call += "ptr %b" + n + ", ";
    }
    entry_ += "  call void @" + k_.name + ".body(" + call + "ptr %scalars, i64 %tile_begin, i64 %tile_end)\n  ret void\n}\n";
  }

  // --- names and text ---
  void line(const std::string& text) { out_ += "  " + text + "\n"; }
  void label(const std::string& name) { out_ += name + ":\n"; }
  std::string fresh() { return "%t" + std::to_string(temp_++); }
  // An instruction's value; one that stands already where it dominates this place is not repeated. Not for loads and phis.
  std::string def(const std::string& text) {
    for (const auto& scope : known_)
      if (auto it = scope.find(text); it != scope.end()) return it->second;
    return known_.back()[text] = def_anew(text);
  }
  std::string def_anew(const std::string& text) {
    std::string name = fresh();
    line(name + " = " + text);
    return name;
  }
  RegType type(Reg r) const { return k_.regs[static_cast<size_t>(r)]; }
  static std::string scalar_type(Elem e) { return e == Elem::f32 ? "float" : e == Elem::i32 ? "i32" : e == Elem::pred ? "i1" : "i64"; }
  std::string vector_of(const std::string& element) const { return "<" + std::to_string(lanes_) + " x " + element + ">"; }
  std::string llvm_type(RegType t) const { return t.vector ? vector_of(scalar_type(t.elem)) : scalar_type(t.elem); }
  int parts(RegType t) const { return t.vector ? parts_ : 1; }

  // Part p of a register as an operand of a vector (or scalar) instruction: scalars are repeated where a vector is due.
  std::string operand(Reg r, int p, bool vector) {
    RegType t = type(r);
    const auto& names = names_[static_cast<size_t>(r)];
    ensure(!names.empty(), "emit: a register has no value yet");
    if (t.vector || !vector) return names[t.vector ? static_cast<size_t>(p) : 0];
    return splat(names[0], scalar_type(t.elem));
  }

  std::string splat(const std::string& scalar, const std::string& element) {
    std::string v = vector_of(element);
    if (scalar[0] != '%') {
      std::string text = "<";
      for (int l = 0; l < lanes_; ++l) text += (l ? ", " : "") + element + " " + scalar;
      return text + ">";
    }
    std::string first = def("insertelement " + v + " poison, " + element + " " + scalar + ", i64 0");
    return def("shufflevector " + v + " " + first + ", " + v + " poison, <" + std::to_string(lanes_) + " x i32> zeroinitializer");
  }

  // --- statements ---
  void block(const Block& b) {
    known_.emplace_back();
    for (const Stmt& s : b) {
      if (s.kind == Stmt::Kind::instr) instr(s.instr);
      else if (s.kind == Stmt::Kind::loop) loop(*s.loop);
      else branch(*s.branch);
    }
    known_.pop_back();
  }

  // Of a loop without loops inside: the numbers by which accesses multiply its variable, but what address modes do.
  // False: there are loops inside.
  static bool collect_strides(const Block& b, Reg var, std::set<int64_t>& strides) {
    for (const Stmt& s : b) {
      if (s.kind == Stmt::Kind::loop) return false;
      if (s.kind == Stmt::Kind::branch &&
          !(collect_strides(s.branch->then, var, strides) && collect_strides(s.branch->otherwise, var, strides)))
        return false;
      if (s.kind != Stmt::Kind::instr) continue;
      for (auto [r, c] : s.instr.access.at.terms)
        if (r == var && c != 1 && c != 2) strides.insert(c);
    }
    return true;
  }

  static std::string product(const std::string& value, int64_t factor) { return "mul nsw i64 " + value + ", " + std::to_string(factor); }

  // Loops whose first turn is certain test at their end; others test before it as well. Phis stand at the body's head.
  // In inner loops a multiple of the variable that addresses take is a phi of its own: a sum for each turn, no product.
  void loop(const For& f) {
    bool certain = f.begin_reg == kNoReg && f.end_reg == kNoReg && f.begin < f.end;
    if (f.begin_reg == kNoReg && f.end_reg == kNoReg && f.begin >= f.end) {
      for (const auto& c : f.carried) names_[static_cast<size_t>(c.reg)] = names_[static_cast<size_t>(c.init)];
      return;
    }
    std::string id = "l" + std::to_string(loops_++), var = "%r" + std::to_string(f.var);
    std::string begin = f.begin_reg == kNoReg ? std::to_string(f.begin) : operand(f.begin_reg, 0, false);
    std::string end = f.end_reg == kNoReg ? std::to_string(f.end) : operand(f.end_reg, 0, false);
    std::string before = id + ".before", body = id + ".body", exit = id + ".exit", latch = id + ".latch";
    std::set<int64_t> strides;
    if (!collect_strides(f.body, f.var, strides)) strides.clear();
    line("br label %" + before);
    label(before);
    std::vector<std::string> begins;
    for (int64_t c : strides) begins.push_back(f.begin_reg == kNoReg ? std::to_string(f.begin * c) : def(product(begin, c)));
    if (certain) {
      line("br label %" + body);
    } else {
      std::string some = def("icmp slt i64 " + begin + ", " + end);
      line("br i1 " + some + ", label %" + body + ", label %" + exit);
    }
    label(body);
    line(var + " = phi i64 [ " + begin + ", %" + before + " ], [ " + var + ".next, %" + latch + " ]");
    names_[static_cast<size_t>(f.var)] = {var};
    known_.emplace_back();
    auto multiple = [&](int64_t c) { return var + ".x" + std::to_string(c); };
    size_t first = 0;
    for (int64_t c : strides) {
      line(multiple(c) + " = phi i64 [ " + begins[first++] + ", %" + before + " ], [ " + multiple(c) + ".next, %" + latch + " ]");
      known_.back()[product(var, c)] = multiple(c);
    }
    std::vector<std::vector<std::string>> inits;
    // The last part of a phi names the value of the next turn, which is known after the body: patched in below.
    std::vector<std::pair<size_t, std::pair<const For::Carried*, int>>> patches;
    for (const auto& c : f.carried) {
      RegType t = type(c.reg);
      inits.push_back(names_[static_cast<size_t>(c.init)]);
      std::vector<std::string> phis;
      for (int p = 0; p < parts(t); ++p) {
        std::string name = "%r" + std::to_string(c.reg) + (t.vector ? "." + std::to_string(p) : "");
        out_ += "  " + name + " = phi " + llvm_type(t) + " [ " + inits.back()[static_cast<size_t>(p)] + ", %" + before + " ], [ ";
        patches.push_back({out_.size(), {&c, p}});
        out_ += ", %" + latch + " ]\n";
        phis.push_back(name);
      }
      names_[static_cast<size_t>(c.reg)] = phis;
    }
    block(f.body);
    known_.pop_back();
    line("br label %" + latch);
    label(latch);
    line(var + ".next = add nsw i64 " + var + ", " + std::to_string(f.step));
    for (int64_t c : strides) line(multiple(c) + ".next = add nsw i64 " + multiple(c) + ", " + std::to_string(f.step * c));
    std::string more = def("icmp slt i64 " + var + ".next, " + end);
    line("br i1 " + more + ", label %" + body + ", label %" + exit);
    label(exit);
    for (size_t i = patches.size(); i-- > 0;) {
      auto [at, what] = patches[i];
      out_.insert(at, names_[static_cast<size_t>(what.first->next)][static_cast<size_t>(what.second)]);
    }
    for (size_t i = 0; i < f.carried.size(); ++i) {
      const auto& c = f.carried[i];
      if (certain) {
        names_[static_cast<size_t>(c.reg)] = names_[static_cast<size_t>(c.next)];
        continue;
      }
      RegType t = type(c.reg);
      std::vector<std::string> merged;
      for (int p = 0; p < parts(t); ++p)
        merged.push_back(def_anew("phi " + llvm_type(t) + " [ " + inits[i][static_cast<size_t>(p)] + ", %" + before + " ], [ " +
                                  names_[static_cast<size_t>(c.next)][static_cast<size_t>(p)] + ", %" + latch + " ]"));
      names_[static_cast<size_t>(c.reg)] = merged;
    }
  }

  void branch(const If& b) {
    std::string id = "c" + std::to_string(loops_++);
    line("br i1 " + operand(b.condition, 0, false) + ", label %" + id + ".then, label %" + id + ".else");
    label(id + ".then");
    block(b.then);
    line("br label %" + id + ".end");
    label(id + ".else");
    block(b.otherwise);
    line("br label %" + id + ".end");
    label(id + ".end");
  }

  // --- instructions ---
  void instr(const Instr& i) {
    if (i.code == Code::load) return load(i);
    if (i.code == Code::store) return store(i);
    RegType t = type(i.result);
    auto& names = names_[static_cast<size_t>(i.result)];
    names.clear();
    if (i.code == Code::constant) {
      if (t.elem == Elem::f32) names = {float_literal(i.value)};
      else if (t.elem == Elem::pred) names = {i.value != 0 ? "true" : "false"};
      else names = {std::to_string(static_cast<int64_t>(i.value))};
      return;
    }
    if (i.code >= Code::sum_lanes && i.code <= Code::prod_lanes) {
      names = {join_lanes(i)};
      return;
    }
    for (int p = 0; p < parts(t); ++p) names.push_back(one(i, t, p));
  }

  // The text of an instruction's part p.
  std::string one(const Instr& i, RegType t, int p) {
    bool v = t.vector;
    auto in = [&](size_t n) { return operand(i.in[n], p, v); };
    auto in_type = [&](size_t n) { return llvm_type({type(i.in[n]).elem, v}); };
    auto binary = [&](const char* op) { return def(std::string(op) + " " + in_type(0) + " " + in(0) + ", " + in(1)); };
    auto call = [&](const char* name) {
      std::string ty = llvm_type(t), suffix = v ? "v" + std::to_string(lanes_) + "f32" : "f32", text;
      std::vector<std::string> args;
      for (size_t n = 0; n < i.in.size(); ++n) args.push_back(in(n));
      for (size_t n = 0; n < args.size(); ++n) text += (n ? ", " : "") + ty + " " + args[n];
      return def("call " + ty + " @llvm." + name + "." + suffix + "(" + text + ")");
    };
    auto convert = [&](const char* op) { return def(std::string(op) + " " + in_type(0) + " " + in(0) + " to " + llvm_type(t)); };
    switch (i.code) {
    case Code::lane: {
      std::string text = "<";
      for (int l = 0; l < lanes_; ++l) text += (l ? ", i32 " : "i32 ") + std::to_string(p * lanes_ + l);
      return text + ">";
    }
    case Code::add: return binary("fadd");
    case Code::sub: return binary("fsub");
    case Code::mul: return binary("fmul");
    case Code::div: return binary("fdiv");
    case Code::max: return call("maximum");
    case Code::min: return call("minimum");
    case Code::fma: return call("fma");
    case Code::neg: return def("fneg " + in_type(0) + " " + in(0));
    case Code::abs: return call("fabs");
    case Code::sqrt: return call("sqrt");
    case Code::floor: return call("floor");
    case Code::round: return call("roundeven");
    case Code::lt: return binary("fcmp olt");
    case Code::le: return binary("fcmp ole");
    case Code::eq: return binary("fcmp oeq");
    case Code::ne: return binary("fcmp une");
    case Code::unordered: return binary("fcmp uno");
    case Code::iadd: return binary("add");
    case Code::isub: return binary("sub");
    case Code::imul: return binary("mul");
    case Code::idiv: return binary("sdiv");
    case Code::iand: return binary("and");
    case Code::ior: return binary("or");
    case Code::ixor: return binary("xor");
    case Code::ishl: return binary("shl");
    case Code::ilshr: return binary("lshr");
    case Code::iashr: return binary("ashr");
    case Code::umulh: {
      std::string narrow = llvm_type(t), wide = v ? vector_of("i64") : "i64";
      std::string a = def("zext " + narrow + " " + in(0) + " to " + wide), b = def("zext " + narrow + " " + in(1) + " to " + wide);
      std::string product = def("mul nuw " + wide + " " + a + ", " + b);
      std::string high = def("lshr " + wide + " " + product + ", " + (v ? splat("32", "i64") : "32"));
      return def("trunc " + wide + " " + high + " to " + narrow);
    }
    case Code::ilt: return binary("icmp slt");
    case Code::ile: return binary("icmp sle");
    case Code::ieq: return binary("icmp eq");
    case Code::ine: return binary("icmp ne");
    case Code::pand: return binary("and");
    case Code::por: return binary("or");
    case Code::pnot: return def("xor " + in_type(0) + " " + in(0) + ", " + (v ? splat("true", "i1") : "true"));
    case Code::select: {
      bool vector_condition = v && type(i.in[0]).vector;
      std::string c = operand(i.in[0], p, vector_condition), ty = llvm_type(t);
      return def("select " + llvm_type({Elem::pred, vector_condition}) + " " + c + ", " + ty + " " + in(1) + ", " + ty + " " + in(2));
    }
    case Code::to_i32: return convert("fptosi");
    case Code::to_f32: return convert(type(i.in[0]).elem == Elem::pred ? "uitofp" : "sitofp");
    case Code::u_to_f32: return convert("uitofp");
    case Code::bits_i32:
    case Code::bits_f32: return convert("bitcast");
    case Code::splat: return splat(operand(i.in[0], 0, false), scalar_type(t.elem));
    case Code::mix_low:
    case Code::mix_high: return mix(i, t, p);
    case Code::xadd: return def("add nsw i64 " + in(0) + ", " + in(1));
    case Code::xmul: return def("mul nsw i64 " + in(0) + ", " + in(1));
    case Code::xdiv: return def("udiv i64 " + in(0) + ", " + in(1));
    case Code::xmod: return def("urem i64 " + in(0) + ", " + in(1));
    case Code::xmin: return def("call i64 @llvm.smin.i64(i64 " + in(0) + ", i64 " + in(1) + ")");
    case Code::to_index: return def("sext i32 " + in(0) + " to i64");
    case Code::from_index: return def("trunc i64 " + in(0) + " to i32");
    default: throw InternalError("emit: unexpected instruction");
    }
  }

  // A distance of whole registers only renames them.
  std::string mix(const Instr& i, RegType t, int p) {
    int distance = static_cast<int>(i.value);
    bool low = i.code == Code::mix_low;
    if (distance >= lanes_) {
      bool second = p * lanes_ & distance;
      int shift = distance / lanes_;
      return operand(i.in[second], second == low ? (low ? p - shift : p + shift) : p, true);
    }
    std::string ty = llvm_type(t), mask;
    for (int l = 0; l < lanes_; ++l) {
      bool second = l & distance;
      int at = second ? lanes_ + l - (low ? distance : 0) : l + (low ? 0 : distance);
      mask += (l ? ", i32 " : "i32 ") + std::to_string(at);
    }
    return def("shufflevector " + ty + " " + operand(i.in[0], p, true) + ", " + ty + " " + operand(i.in[1], p, true) + ", <" +
               std::to_string(lanes_) + " x i32> <" + mask + ">");
  }

  // Joins lane i with i + 8, then + 4, + 2, + 1, whatever the width.
  std::string join_lanes(const Instr& i) {
    RegType t{type(i.in[0]).elem, true};
    bool real = t.elem == Elem::f32;
    auto combine = [&](const std::string& ty, const std::string& a, const std::string& b) {
      switch (i.code) {
      case Code::sum_lanes: return def(std::string(real ? "fadd " : "add ") + ty + " " + a + ", " + b);
      case Code::prod_lanes: return def(std::string(real ? "fmul " : "mul ") + ty + " " + a + ", " + b);
      default: break;
      }
      bool greater = i.code == Code::max_lanes;
      std::string element = real ? "f32" : "i32", name = real ? (greater ? "maximum" : "minimum") : (greater ? "smax" : "smin");
      std::string suffix = ty[0] == '<' ? "v" + ty.substr(1, ty.find(' ') - 1) + element : element;
      return def("call " + ty + " @llvm." + name + "." + suffix + "(" + ty + " " + a + ", " + ty + " " + b + ")");
    };
    std::vector<std::string> values;
    for (int p = 0; p < parts_; ++p) values.push_back(operand(i.in[0], p, true));
    std::string ty = llvm_type(t), element = scalar_type(t.elem);
    while (values.size() > 1) {
      size_t half = values.size() / 2;
      for (size_t p = 0; p < half; ++p) values[p] = combine(ty, values[p], values[p + half]);
      values.resize(half);
    }
    std::string v = values[0];
    for (int width = lanes_; width > 1; width /= 2) {
      std::string from = "<" + std::to_string(width) + " x " + element + ">",
                  half = "<" + std::to_string(width / 2) + " x " + element + ">";
      std::string low_mask, high_mask;
      for (int l = 0; l < width / 2; ++l) {
        low_mask += (l ? ", i32 " : "i32 ") + std::to_string(l);
        high_mask += (l ? ", i32 " : "i32 ") + std::to_string(l + width / 2);
      }
      std::string mask_type = "<" + std::to_string(width / 2) + " x i32> <";
      std::string low = def("shufflevector " + from + " " + v + ", " + from + " poison, " + mask_type + low_mask + ">");
      std::string high = def("shufflevector " + from + " " + v + ", " + from + " poison, " + mask_type + high_mask + ">");
      v = combine(half, low, high);
    }
    return def("extractelement <1 x " + element + "> " + v + ", i64 0");
  }

  // --- memory ---
  std::string address(const Access& a) {
    // Constants join last so that accesses of one row share their base and differ by a displacement.
    std::string moving;
    for (auto [r, c] : a.at.terms) {
      std::string term = operand(r, 0, false);
      if (c != 1) term = def(product(term, c));
      moving = moving.empty() ? term : def("add nsw i64 " + moving + ", " + term);
    }
    const KernelBuffer& b = k_.buffers[static_cast<size_t>(a.buffer)];
    std::string base = b.kind == KernelBuffer::Kind::scalars     ? "%scalars"
                       : b.kind == KernelBuffer::Kind::constants ? "@" + k_.name + ".c" + std::to_string(a.buffer)
                                                                 : "%b" + std::to_string(a.buffer);
    std::string ty = memory_type(b.dtype);
    if (!moving.empty()) base = def("getelementptr inbounds " + ty + ", ptr " + base + ", i64 " + moving);
    if (a.at.base) base = def("getelementptr inbounds " + ty + ", ptr " + base + ", i64 " + std::to_string(a.at.base));
    return base;
  }

  // Widens a memory element to its register form.
  std::string widen(const std::string& value, DType d, bool vector) {
    auto ty = [&](const std::string& e) { return vector ? vector_of(e) : e; };
    if (d == DType::u8) return def("zext " + ty("i8") + " " + value + " to " + ty("i32"));
    if (d == DType::boolean) return def("icmp ne " + ty("i8") + " " + value + ", " + (vector ? "zeroinitializer" : "0"));
    if (d == DType::i64) return def("trunc " + ty("i64") + " " + value + " to " + ty("i32"));
    return value;
  }
  std::string narrow(const std::string& value, DType d, bool vector) {
    auto ty = [&](const std::string& e) { return vector ? vector_of(e) : e; };
    if (d == DType::u8) return def("trunc " + ty("i32") + " " + value + " to " + ty("i8"));
    if (d == DType::boolean) return def("zext " + ty("i1") + " " + value + " to " + ty("i8"));
    if (d == DType::i64) return def("sext " + ty("i32") + " " + value + " to " + ty("i64"));
    return value;
  }

  // The mask of part p: constant lanes below `count`, or a comparison with the run-time count. Empty: all lanes.
  std::string mask(const Access& a, int p) {
    if (a.count_reg != kNoReg) {
      std::string count = splat(def("trunc i64 " + operand(a.count_reg, 0, false) + " to i32"), "i32");
      std::string lanes = "<";
      for (int l = 0; l < lanes_; ++l) lanes += (l ? ", i32 " : "i32 ") + std::to_string(p * lanes_ + l);
      return def("icmp slt " + vector_of("i32") + " " + lanes + ">, " + count);
    }
    if (a.count >= (p + 1) * lanes_) return "";
    std::string text = "<";
    for (int l = 0; l < lanes_; ++l) text += std::string(l ? ", i1 " : "i1 ") + (p * lanes_ + l < a.count ? "true" : "false");
    return text + ">";
  }

  std::string all_lanes() { return splat("true", "i1"); }

  // Pointers of the lanes of part p.
  std::string pointers(const Access& a, const std::string& base, const std::string& element, int p) {
    std::string wide;
    if (a.offsets != kNoReg) {
      wide = def("sext " + vector_of("i32") + " " + operand(a.offsets, p, true) + " to " + vector_of("i64"));
      if (a.scale != 1) wide = def("mul nsw " + vector_of("i64") + " " + wide + ", " + splat(std::to_string(a.scale), "i64"));
    } else {
      wide = "<";
      for (int l = 0; l < lanes_; ++l) wide += (l ? ", i64 " : "i64 ") + std::to_string((p * lanes_ + l) * a.stride);
      wide += ">";
    }
    return def("getelementptr " + element + ", ptr " + base + ", " + vector_of("i64") + " " + wide);
  }

  static std::string suffix(const std::string& element) { return element == "float" ? "f32" : element; }

  void load(const Instr& i) {
    const Access& a = i.access;
    DType d = k_.buffers[static_cast<size_t>(a.buffer)].dtype;
    RegType t = type(i.result);
    auto& names = names_[static_cast<size_t>(i.result)];
    names.clear();
    std::string base = address(a), element = memory_type(d), bytes = std::to_string(dtype_bytes(d));
    if (!t.vector || (a.stride == 0 && a.offsets == kNoReg)) {
      std::string scalar = widen(def_anew("load " + element + ", ptr " + base + ", align " + bytes), d, false);
      if (!t.vector) {
        names = {scalar};
        return;
      }
      std::string v = splat(scalar, scalar_type(t.elem));
      names.assign(static_cast<size_t>(parts_), v);
      return;
    }
    std::string vty = vector_of(element), vl = std::to_string(lanes_);
    for (int p = 0; p < parts_; ++p) {
      std::string m = mask(a, p), value;
      bool none = a.count_reg == kNoReg && a.count <= p * lanes_;
      if (none) {
        names.push_back(t.elem == Elem::pred ? splat("false", "i1") : "zeroinitializer");
        continue;
      }
      if (a.offsets == kNoReg && a.stride == 1) {
        std::string at = p ? def("getelementptr inbounds " + element + ", ptr " + base + ", i64 " + std::to_string(p * lanes_)) : base;
        if (m.empty()) value = def_anew("load " + vty + ", ptr " + at + ", align " + bytes);
        else
          value = def_anew("call " + vty + " @llvm.masked.load.v" + vl + suffix(element) + ".p0(ptr " + at + ", i32 " + bytes + ", <" + vl +
                           " x i1> " + m + ", " + vty + " zeroinitializer)");
      } else if (a.offsets == kNoReg && a.count_reg == kNoReg) {
        value = "zeroinitializer";
        for (int l = 0; l < lanes_ && p * lanes_ + l < a.count; ++l) {
          std::string at =
              def("getelementptr inbounds " + element + ", ptr " + base + ", i64 " + std::to_string((p * lanes_ + l) * a.stride));
          std::string scalar = def_anew("load " + element + ", ptr " + at + ", align " + bytes);
          value = def("insertelement " + vty + " " + value + ", " + element + " " + scalar + ", i64 " + std::to_string(l));
        }
      } else {
        std::string at = pointers(a, base, element, p);
        value = def_anew("call " + vty + " @llvm.masked.gather.v" + vl + suffix(element) + ".v" + vl + "p0(<" + vl + " x ptr> " + at +
                         ", i32 " + bytes + ", <" + vl + " x i1> " + (m.empty() ? all_lanes() : m) + ", " + vty + " zeroinitializer)");
      }
      names.push_back(widen(value, d, true));
    }
  }

  void store(const Instr& i) {
    const Access& a = i.access;
    DType d = k_.buffers[static_cast<size_t>(a.buffer)].dtype;
    bool vector = type(i.in[0]).vector;
    std::string base = address(a), element = memory_type(d), bytes = std::to_string(dtype_bytes(d));
    if (!vector) {
      line("store " + element + " " + narrow(operand(i.in[0], 0, false), d, false) + ", ptr " + base + ", align " + bytes);
      return;
    }
    std::string vty = vector_of(element), vl = std::to_string(lanes_);
    for (int p = 0; p < parts_; ++p) {
      if (a.count_reg == kNoReg && a.count <= p * lanes_) break;
      std::string m = mask(a, p), value = narrow(operand(i.in[0], p, true), d, true);
      if (a.offsets == kNoReg && a.stride == 1) {
        std::string at = p ? def("getelementptr inbounds " + element + ", ptr " + base + ", i64 " + std::to_string(p * lanes_)) : base;
        if (m.empty()) line("store " + vty + " " + value + ", ptr " + at + ", align " + bytes);
        else
          line("call void @llvm.masked.store.v" + vl + suffix(element) + ".p0(" + vty + " " + value + ", ptr " + at + ", i32 " + bytes +
               ", <" + vl + " x i1> " + m + ")");
      } else {
        std::string at = pointers(a, base, element, p);
        line("call void @llvm.masked.scatter.v" + vl + suffix(element) + ".v" + vl + "p0(" + vty + " " + value + ", <" + vl + " x ptr> " +
             at + ", i32 " + bytes + ", <" + vl + " x i1> " + (m.empty() ? all_lanes() : m) + ")");
      }
    }
  }

  const Kernel& k_;
  int lanes_, parts_;
  std::vector<std::vector<std::string>> names_;
  std::string out_, entry_;
  std::vector<std::unordered_map<std::string, std::string>> known_;   // names of values by their instructions, by nesting of blocks
  int temp_ = 0, loops_ = 0;
};

}  // namespace

std::string emit_llvm(const Kernel& kernel, int lanes) { return Emitter(kernel, lanes).run(); }

}  // namespace mlc
