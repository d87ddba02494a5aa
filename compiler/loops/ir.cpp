#include "compiler/loops/ir.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"

#include <array>

namespace mlc::loops {
namespace {

constexpr std::array kCodeNames = {
    "const",    "lane",     "add",      "sub",   "mul",     "div",      "max",        "min",       "fma",       "neg",
    "abs",      "sqrt",     "floor",    "round", "lt",      "le",       "eq",         "ne",        "unordered", "iadd",
    "isub",     "imul",     "idiv",     "iand",  "ior",     "ixor",     "ishl",       "ilshr",     "iashr",     "umulh",
    "ilt",      "ile",      "ieq",      "ine",   "pand",    "por",      "pnot",       "select",    "to_i32",    "to_f32",
    "bits_i32", "bits_f32", "u_to_f32", "splat", "mix_low", "mix_high", "sum_lanes",  "max_lanes", "min_lanes", "prod_lanes",
    "xadd",     "xmul",     "xdiv",     "xmod",  "xmin",    "to_index", "from_index", "load",      "store"};
static_assert(kCodeNames.size() == static_cast<size_t>(Code::store) + 1);

std::string reg_name(Reg r) { return "%" + std::to_string(r); }

std::string type_name(RegType t) {
  constexpr std::array names = {"f32", "i32", "pred", "index"};
  std::string name = names[static_cast<size_t>(t.elem)];
  return t.vector ? name + "x16" : name;
}

class Printer {
public:
  explicit Printer(const Kernel& kernel) : k_(kernel) {}

  std::string print() {
    out_ = "kernel @" + k_.name + " tiles=" + std::to_string(k_.tiles) + " tile=" + reg_name(k_.tile) + "(";
    for (size_t i = 0; i < k_.buffers.size(); ++i) {
      const KernelBuffer& b = k_.buffers[i];
      if (i) out_ += ", ";
      if (b.kind == KernelBuffer::Kind::scratch) out_ += "scratch[" + std::to_string(b.elements) + "] ";
      if (b.kind == KernelBuffer::Kind::scalars) out_ += "scalars ";
      if (b.kind == KernelBuffer::Kind::constants) {
        out_ += "constants[";
        for (size_t v = 0; v < b.values.size(); ++v) out_ += (v ? " " : "") + format_number(b.values[v]);
        out_ += "] ";
      }
      out_ +=
          std::string(dtype_name(b.dtype)) + (b.written ? " out " : " ") + "&" + std::to_string(i) + (b.name.empty() ? "" : " " + b.name);
    }
    out_ += ") {\n";
    block(k_.body, 1);
    return out_ + "}\n";
  }

private:
  std::string access(const Access& a) {
    std::string text = "&" + std::to_string(a.buffer) + "[" + (a.at.base || a.at.terms.empty() ? std::to_string(a.at.base) : "");
    for (size_t i = 0; i < a.at.terms.size(); ++i) {
      auto [r, c] = a.at.terms[i];
      text += (i || a.at.base ? " + " : "") + reg_name(r) + (c == 1 ? "" : "*" + std::to_string(c));
    }
    text += "]";
    if (a.offsets != kNoReg) text += " offsets=" + reg_name(a.offsets) + (a.scale == 1 ? "" : "*" + std::to_string(a.scale));
    else if (a.stride != 1) text += " stride=" + std::to_string(a.stride);
    if (a.count_reg != kNoReg) text += " count=" + reg_name(a.count_reg);
    else if (a.count != kLanes) text += " count=" + std::to_string(a.count);
    return text;
  }

  void block(const Block& b, size_t depth) {
    std::string pad(2 * depth, ' ');
    for (const Stmt& s : b) {
      if (s.kind == Stmt::Kind::instr) {
        const Instr& i = s.instr;
        out_ += pad;
        if (i.result != kNoReg) out_ += reg_name(i.result) + " = ";
        out_ += kCodeNames[static_cast<size_t>(i.code)];
        if (i.code == Code::constant || i.code == Code::mix_low || i.code == Code::mix_high) out_ += " " + format_number(i.value);
        if (i.code == Code::load || i.code == Code::store) out_ += " " + access(i.access);
        for (Reg r : i.in) out_ += " " + reg_name(r);
        if (i.result != kNoReg) out_ += " : " + type_name(k_.regs[static_cast<size_t>(i.result)]);
        out_ += "\n";
      } else if (s.kind == Stmt::Kind::loop) {
        const For& f = *s.loop;
        out_ += pad + "for " + reg_name(f.var) + " in " + (f.begin_reg == kNoReg ? std::to_string(f.begin) : reg_name(f.begin_reg)) + ".." +
                (f.end_reg == kNoReg ? std::to_string(f.end) : reg_name(f.end_reg));
        if (f.step != 1) out_ += " step " + std::to_string(f.step);
        for (size_t i = 0; i < f.carried.size(); ++i)
          out_ += (i ? ", " : " carry ") + reg_name(f.carried[i].reg) + "=" + reg_name(f.carried[i].init);
        out_ += " {\n";
        block(f.body, depth + 1);
        for (size_t i = 0; i < f.carried.size(); ++i) out_ += (i ? ", " : pad + "  next ") + reg_name(f.carried[i].next);
        out_ += (f.carried.empty() ? "" : "\n") + pad + "}\n";
      } else {
        out_ += pad + "if " + reg_name(s.branch->condition) + " {\n";
        block(s.branch->then, depth + 1);
        if (!s.branch->otherwise.empty()) {
          out_ += pad + "} else {\n";
          block(s.branch->otherwise, depth + 1);
        }
        out_ += pad + "}\n";
      }
    }
  }

  const Kernel& k_;
  std::string out_;
};

class Verifier {
public:
  explicit Verifier(const Kernel& kernel) : k_(kernel), known_(kernel.regs.size(), false) {}

  void run() {
    define(k_.tile);
    check(k_.tiles >= 1, "a kernel has at least one tile");
    block(k_.body);
  }

private:
  void check(bool ok, const char* what) {
    if (!ok) throw InternalError("kernel " + k_.name + ": " + what);
  }
  RegType type(Reg r) {
    check(r >= 0 && static_cast<size_t>(r) < known_.size() && known_[static_cast<size_t>(r)], "a register is read before it is defined");
    return k_.regs[static_cast<size_t>(r)];
  }
  void index(Reg r) { check(type(r) == RegType{Elem::index, false}, "an index register is needed"); }
  void define(Reg r) {
    check(r >= 0 && static_cast<size_t>(r) < known_.size(), "register out of range");
    check(!known_[static_cast<size_t>(r)], "a register is defined twice");
    known_[static_cast<size_t>(r)] = true;
    scope_.push_back(r);
  }
  void instr(const Instr& i) {
    bool vector = false;
    for (Reg r : i.in) vector |= type(r).vector;
    if (i.code == Code::load || i.code == Code::store) {
      const Access& a = i.access;
      check(a.buffer >= 0 && static_cast<size_t>(a.buffer) < k_.buffers.size(), "buffer out of range");
      check(i.code == Code::load || k_.buffers[static_cast<size_t>(a.buffer)].written, "a store goes to a buffer not marked written");
      for (auto [r, c] : a.at.terms) index(r);
      if (a.offsets != kNoReg) check(type(a.offsets) == RegType{Elem::i32, true}, "gather offsets are an i32 vector");
      if (a.count_reg != kNoReg) index(a.count_reg);
      check(a.count >= 1 && a.count <= kLanes, "1 to 16 lanes take part in an access");
    }
    if (i.code == Code::mix_low || i.code == Code::mix_high) {
      check(i.in.size() == 2 && type(i.in[0]).vector && type(i.in[0]) == type(i.in[1]), "lanes of two vectors of one type are mixed");
      check(i.value == 1 || i.value == 2 || i.value == 4 || i.value == 8, "lanes are mixed at a distance of 1, 2, 4 or 8");
    }
    if (i.result == kNoReg) return;
    define(i.result);
    RegType t = k_.regs[static_cast<size_t>(i.result)];
    bool lanes_vanish = i.code >= Code::sum_lanes && i.code <= Code::prod_lanes;
    if (!i.in.empty() && i.code != Code::load)
      check(t.vector == (i.code == Code::splat || (vector && !lanes_vanish)), "vector operands make vector results");
  }
  void block(const Block& b) {
    size_t mark = scope_.size();
    for (const Stmt& s : b) {
      if (s.kind == Stmt::Kind::instr) {
        instr(s.instr);
      } else if (s.kind == Stmt::Kind::loop) {
        const For& f = *s.loop;
        if (f.begin_reg != kNoReg) index(f.begin_reg);
        if (f.end_reg != kNoReg) index(f.end_reg);
        check(f.step >= 1, "loops step forward");
        for (const For::Carried& c : f.carried) {
          type(c.init);
          define(c.reg);
        }
        size_t inner = scope_.size();
        define(f.var);
        block(f.body);
        for (const For::Carried& c : f.carried) {
          // `next` is defined in the body: its scope has just closed, so only its type is checked.
          check(c.next >= 0 && k_.regs[static_cast<size_t>(c.next)] == k_.regs[static_cast<size_t>(c.reg)],
                "a carried value keeps its type");
        }
        close(inner);
      } else {
        check(type(s.branch->condition).elem == Elem::pred && !type(s.branch->condition).vector, "a branch needs a scalar truth value");
        block(s.branch->then);
        block(s.branch->otherwise);
      }
    }
    close(mark);
  }
  void close(size_t mark) {
    while (scope_.size() > mark) {
      known_[static_cast<size_t>(scope_.back())] = false;
      scope_.pop_back();
    }
  }

  const Kernel& k_;
  std::vector<bool> known_;
  std::vector<Reg> scope_;
};

}  // namespace

std::string print_kernel(const Kernel& kernel) { return Printer(kernel).print(); }
void verify(const Kernel& kernel) { Verifier(kernel).run(); }

}  // namespace mlc::loops
