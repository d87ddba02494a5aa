#include "compiler/emit/c99.h"

#include "compiler/base/diagnostics.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace mlc {
namespace {

using namespace loops;

// Signed arithmetic wraps through unsigned; a value back from unsigned goes by its bits.
constexpr const char* kPrelude = R"(#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

typedef struct { float v[16]; } mlc_f32x16;
typedef struct { int32_t v[16]; } mlc_i32x16;
typedef struct { bool v[16]; } mlc_predx16;

static inline int32_t mlc_wrap(uint32_t a) { int32_t r; memcpy(&r, &a, sizeof r); return r; }
static inline int32_t mlc_bits_i32(float a) { int32_t r; memcpy(&r, &a, sizeof r); return r; }
static inline float mlc_bits_f32(int32_t a) { float r; memcpy(&r, &a, sizeof r); return r; }
static inline float mlc_max(float a, float b) {
  if (a != a) return a;
  if (b != b) return b;
  return a > b ? a : b > a ? b : signbit(a) ? b : a;
}
static inline float mlc_min(float a, float b) {
  if (a != a) return a;
  if (b != b) return b;
  return a < b ? a : b < a ? b : signbit(a) ? a : b;
}
static inline int32_t mlc_iadd(int32_t a, int32_t b) { return mlc_wrap((uint32_t)a + (uint32_t)b); }
static inline int32_t mlc_isub(int32_t a, int32_t b) { return mlc_wrap((uint32_t)a - (uint32_t)b); }
static inline int32_t mlc_imul(int32_t a, int32_t b) { return mlc_wrap((uint32_t)a * (uint32_t)b); }
static inline int32_t mlc_idiv(int32_t a, int32_t b) { return b == -1 ? mlc_wrap(0u - (uint32_t)a) : a / b; }
static inline int32_t mlc_ishl(int32_t a, int32_t n) { return mlc_wrap((uint32_t)a << ((uint32_t)n & 31u)); }
static inline int32_t mlc_ilshr(int32_t a, int32_t n) { return mlc_wrap((uint32_t)a >> ((uint32_t)n & 31u)); }
static inline int32_t mlc_iashr(int32_t a, int32_t n) {
  n = (int32_t)((uint32_t)n & 31u);
  return a < 0 ? ~(~a >> n) : a >> n;
}
static inline int32_t mlc_umulh(int32_t a, int32_t b) {
  return mlc_wrap((uint32_t)((uint64_t)(uint32_t)a * (uint32_t)b >> 32));
}
static inline int32_t mlc_imax(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t mlc_imin(int32_t a, int32_t b) { return a < b ? a : b; }
/* Out of range: what the x86 instruction gives. */
static inline int32_t mlc_to_i32(float a) {
  return a >= -0x1p31f && a < 0x1p31f ? (int32_t)a : (-2147483647 - 1);
}
static inline int32_t mlc_low(int64_t a) { return mlc_wrap((uint32_t)((uint64_t)a & 0xffffffffu)); }
static inline int64_t mlc_xdiv(int64_t a, int64_t b) { return (int64_t)((uint64_t)a / (uint64_t)b); }
static inline int64_t mlc_xmod(int64_t a, int64_t b) { return (int64_t)((uint64_t)a % (uint64_t)b); }
static inline int64_t mlc_xmin(int64_t a, int64_t b) { return a < b ? a : b; }
)";

// A reduction over lanes joins i with i + 8, then + 4, + 2, + 1.
std::string lanes_function(const char* name, const char* type, const char* element, const char* joined) {
  return std::string("static inline ") + element + " mlc_" + name + "(mlc_" + type + "x16 x) {\n" +
         "  for (int w = 8; w > 0; w /= 2)\n    for (int l = 0; l < w; ++l) x.v[l] = " + joined + ";\n  return x.v[0];\n}\n";
}

std::string memory_type(DType d) {
  switch (d) {
  case DType::f32: return "float";
  case DType::i32: return "int32_t";
  case DType::i64: return "int64_t";
  case DType::u8:
  case DType::boolean: return "uint8_t";
  case DType::bf16: break;
  }
  throw InternalError("emit: element type without a memory form");
}

std::string register_type(RegType t) {
  if (t.elem == Elem::f32) return t.vector ? "mlc_f32x16" : "float";
  if (t.elem == Elem::i32) return t.vector ? "mlc_i32x16" : "int32_t";
  if (t.elem == Elem::pred) return t.vector ? "mlc_predx16" : "bool";
  return "int64_t";
}

std::string float_literal(double value) {
  auto f = static_cast<float>(value);
  std::string sign = std::signbit(f) ? "-" : "";
  if (std::isnan(f)) return sign + "NAN";
  if (std::isinf(f)) return sign + "INFINITY";
  char text[40];
  auto end = std::to_chars(text, text + sizeof text, std::fabs(static_cast<double>(f)), std::chars_format::hex).ptr;
  return sign + "0x" + std::string(text, end) + "f";
}

// The least number has no literal of its own type.
std::string int_literal(int64_t value, Elem elem) {
  if (elem == Elem::index) return value == INT64_MIN ? "INT64_MIN" : "INT64_C(" + std::to_string(value) + ")";
  auto narrow = static_cast<int32_t>(static_cast<uint32_t>(value));
  return narrow == INT32_MIN ? "INT32_MIN" : std::to_string(narrow);
}

class Emitter {
public:
  explicit Emitter(const Kernel& kernel) : k_(kernel) {}

  std::string run() {
    out_ = "void " + c99_name(k_) + "(char** buffers, const float* scalars, int64_t tile_begin, int64_t tile_end) {\n";
    buffers();
    open("for (int64_t " + name(k_.tile) + " = tile_begin; " + name(k_.tile) + " < tile_end; ++" + name(k_.tile) + ")");
    block(k_.body);
    close();
    return out_ + "}\n";
  }

private:
  // --- names and text ---
  void line(const std::string& text) { out_ += std::string(2 * depth_, ' ') + text + "\n"; }
  void open(const std::string& head) {
    line(head + " {");
    ++depth_;
  }
  void close(const std::string& more = "") {
    --depth_;
    line("}" + more);
  }
  static std::string name(Reg r) { return "r" + std::to_string(r); }
  static std::string buffer(int b) { return "b" + std::to_string(b); }
  RegType type(Reg r) const { return k_.regs[static_cast<size_t>(r)]; }
  // A register inside an instruction: its lane l where it is a vector.
  std::string operand(Reg r) const { return name(r) + (type(r).vector ? ".v[l]" : ""); }

  void buffers() {
    line("(void)buffers, (void)scalars;");
    int argument = 0;
    for (size_t i = 0; i < k_.buffers.size(); ++i) {
      const KernelBuffer& b = k_.buffers[i];
      std::string element = memory_type(b.dtype), to = buffer(static_cast<int>(i));
      std::string pointer = (b.written ? "" : "const ") + element + "* ";
      switch (b.kind) {
      case KernelBuffer::Kind::argument: line(pointer + to + " = (" + pointer + ")buffers[" + std::to_string(argument++) + "];"); break;
      case KernelBuffer::Kind::scalars: line("const " + element + "* " + to + " = (const " + element + "*)scalars;"); break;
      case KernelBuffer::Kind::scratch: line(element + " " + to + "[" + std::to_string(b.elements) + "];"); break;
      case KernelBuffer::Kind::constants: {
        std::string text = "static const " + element + " " + to + "[] = {";
        for (size_t v = 0; v < b.values.size(); ++v)
          text += (v ? ", " : "") + (b.dtype == DType::f32
                                         ? float_literal(b.values[v])
                                         : int_literal(static_cast<int64_t>(b.values[v]), b.dtype == DType::i64 ? Elem::index : Elem::i32));
        line(text + "};");
        break;
      }
      }
    }
  }

  // --- statements ---
  void block(const Block& b) {
    for (const Stmt& s : b) {
      if (s.kind == Stmt::Kind::instr) instr(s.instr);
      else if (s.kind == Stmt::Kind::loop) loop(*s.loop);
      else branch(*s.branch);
    }
  }

  // Carried registers are variables that outlive the loop. They change together: a next value may be another's present.
  void loop(const For& f) {
    for (const auto& c : f.carried) line(register_type(type(c.reg)) + " " + name(c.reg) + " = " + name(c.init) + ";");
    std::string var = name(f.var);
    std::string begin = f.begin_reg == kNoReg ? std::to_string(f.begin) : name(f.begin_reg);
    std::string end = f.end_reg == kNoReg ? std::to_string(f.end) : name(f.end_reg);
    open("for (int64_t " + var + " = " + begin + "; " + var + " < " + end + "; " + var + " += " + std::to_string(f.step) + ")");
    block(f.body);
    auto moves = [&](const For::Carried& c) {
      return std::any_of(f.carried.begin(), f.carried.end(),
                         [&](const For::Carried& other) { return other.reg == c.next && other.reg != c.reg; });
    };
    for (const auto& c : f.carried)
      if (moves(c)) line(register_type(type(c.reg)) + " n" + std::to_string(c.reg) + " = " + name(c.next) + ";");
    for (const auto& c : f.carried)
      if (c.next != c.reg) line(name(c.reg) + " = " + (moves(c) ? "n" + std::to_string(c.reg) : name(c.next)) + ";");
    close();
  }

  void branch(const If& b) {
    open("if (" + name(b.condition) + ")");
    block(b.then);
    if (!b.otherwise.empty()) {
      close(" else {");
      ++depth_;
      block(b.otherwise);
    }
    close();
  }

  // --- instructions ---
  void define(Reg r, const std::string& value) {
    RegType t = type(r);
    if (!t.vector) return line(register_type(t) + " " + name(r) + " = " + value + ";");
    line(register_type(t) + " " + name(r) + ";");
    line("for (int l = 0; l < 16; ++l) " + name(r) + ".v[l] = " + value + ";");
  }

  void instr(const Instr& i) {
    if (i.code == Code::load) return define(i.result, load(i));
    if (i.code == Code::store) return store(i);
    define(i.result, expression(i));
  }

  // The value of a scalar result, or of a vector result's lane l.
  std::string expression(const Instr& i) const {
    auto in = [&](size_t n) { return operand(i.in[n]); };
    auto infix = [&](const char* op) { return in(0) + " " + op + " " + in(1); };
    auto call = [&](const std::string& function) {
      std::string text = function + "(";
      for (size_t n = 0; n < i.in.size(); ++n) text += (n ? ", " : "") + in(n);
      return text + ")";
    };
    // Reductions take all lanes at once.
    auto lanes = [&](const char* function) {
      return std::string("mlc_") + function + (type(i.in[0]).elem == Elem::f32 ? "_f32(" : "_i32(") + name(i.in[0]) + ")";
    };
    switch (i.code) {
    case Code::constant: {
      Elem elem = type(i.result).elem;
      if (elem == Elem::f32) return float_literal(i.value);
      if (elem == Elem::pred) return i.value != 0 ? "true" : "false";
      return int_literal(static_cast<int64_t>(i.value), elem);
    }
    case Code::lane: return "l";
    case Code::add: return infix("+");
    case Code::sub: return infix("-");
    case Code::mul: return infix("*");
    case Code::div: return infix("/");
    case Code::max: return call("mlc_max");
    case Code::min: return call("mlc_min");
    case Code::fma: return call("fmaf");
    case Code::neg: return "-" + in(0);
    case Code::abs: return call("fabsf");
    case Code::sqrt: return call("sqrtf");
    case Code::floor: return call("floorf");
    case Code::round: return call("rintf");
    case Code::lt:
    case Code::ilt: return infix("<");
    case Code::le:
    case Code::ile: return infix("<=");
    case Code::eq:
    case Code::ieq: return infix("==");
    case Code::ne:
    case Code::ine: return infix("!=");
    case Code::unordered: return in(0) + " != " + in(0) + " || " + in(1) + " != " + in(1);
    case Code::iadd: return call("mlc_iadd");
    case Code::isub: return call("mlc_isub");
    case Code::imul: return call("mlc_imul");
    case Code::idiv: return call("mlc_idiv");
    case Code::iand:
    case Code::pand: return infix("&");
    case Code::ior:
    case Code::por: return infix("|");
    case Code::ixor: return infix("^");
    case Code::ishl: return call("mlc_ishl");
    case Code::ilshr: return call("mlc_ilshr");
    case Code::iashr: return call("mlc_iashr");
    case Code::umulh: return call("mlc_umulh");
    case Code::pnot: return "!" + in(0);
    case Code::select: return in(0) + " ? " + in(1) + " : " + in(2);
    case Code::to_i32: return call("mlc_to_i32");
    case Code::to_f32: return "(float)" + in(0);
    case Code::u_to_f32: return "(float)(uint32_t)" + in(0);
    case Code::bits_i32: return call("mlc_bits_i32");
    case Code::bits_f32: return call("mlc_bits_f32");
    case Code::splat: return in(0);
    case Code::mix_low:
    case Code::mix_high: {
      std::string d = std::to_string(static_cast<int>(i.value)), a = name(i.in[0]) + ".v[l", b = name(i.in[1]) + ".v[l";
      bool low = i.code == Code::mix_low;
      return "l & " + d + " ? " + b + (low ? " - " + d : "") + "] : " + a + (low ? "" : " + " + d) + "]";
    }
    case Code::sum_lanes: return lanes("sum");
    case Code::max_lanes: return lanes("max");
    case Code::min_lanes: return lanes("min");
    case Code::prod_lanes: return lanes("prod");
    case Code::xadd: return infix("+");
    case Code::xmul: return infix("*");
    case Code::xdiv: return call("mlc_xdiv");
    case Code::xmod: return call("mlc_xmod");
    case Code::xmin: return call("mlc_xmin");
    case Code::to_index: return in(0);
    case Code::from_index: return call("mlc_low");
    case Code::load:
    case Code::store: break;
    }
    throw InternalError("emit: unexpected instruction");
  }

  // --- memory ---
  // The element of a scalar access, or of lane l. Indices are summed before they meet the pointer, which stays inside.
  std::string element(const Access& a, bool vector) const {
    std::string text;
    for (auto [r, c] : a.at.terms) text += (text.empty() ? "" : " + ") + name(r) + (c == 1 ? "" : " * " + std::to_string(c));
    if (vector && a.offsets != kNoReg)
      text += (text.empty() ? "" : " + ") + ("(int64_t)" + operand(a.offsets)) + (a.scale == 1 ? "" : " * " + std::to_string(a.scale));
    else if (vector && a.stride != 0)
      text += std::string(text.empty() ? "" : " + ") + "l" + (a.stride == 1 ? "" : " * INT64_C(" + std::to_string(a.stride) + ")");
    if (a.at.base != 0 || text.empty()) text += (text.empty() ? "" : " + ") + std::to_string(a.at.base);
    return buffer(a.buffer) + "[" + text + "]";
  }

  // Empty: all lanes take part.
  static std::string mask(const Access& a) {
    if (a.count_reg != kNoReg) return "l < " + name(a.count_reg);
    return a.count < kLanes ? "l < " + std::to_string(a.count) : "";
  }

  DType dtype(const Access& a) const { return k_.buffers[static_cast<size_t>(a.buffer)].dtype; }

  std::string load(const Instr& i) const {
    bool vector = type(i.result).vector;
    std::string value = element(i.access, vector), m = vector ? mask(i.access) : "";
    if (dtype(i.access) == DType::boolean) value += " != 0";
    if (dtype(i.access) == DType::i64) value = "mlc_low(" + value + ")";
    return m.empty() ? value : m + " ? " + value + " : 0";
  }

  void store(const Instr& i) {
    Reg r = i.in[0];
    bool vector = type(r).vector;
    std::string value = operand(r), m = vector ? mask(i.access) : "";
    if (dtype(i.access) == DType::u8) value = "(uint8_t)((uint32_t)" + value + " & 0xffu)";
    std::string text = element(i.access, vector) + " = " + value + ";";
    if (vector) text = "for (int l = 0; l < 16; ++l) " + (m.empty() ? "" : "if (" + m + ") ") + text;
    line(text);
  }

  const Kernel& k_;
  std::string out_;
  size_t depth_ = 1;
};

}  // namespace

std::string emit_c99(const Kernel& kernel) { return Emitter(kernel).run(); }

std::string c99_prelude() {
  return kPrelude + lanes_function("sum_f32", "f32", "float", "x.v[l] + x.v[l + w]") +
         lanes_function("prod_f32", "f32", "float", "x.v[l] * x.v[l + w]") +
         lanes_function("max_f32", "f32", "float", "mlc_max(x.v[l], x.v[l + w])") +
         lanes_function("min_f32", "f32", "float", "mlc_min(x.v[l], x.v[l + w])") +
         lanes_function("sum_i32", "i32", "int32_t", "mlc_iadd(x.v[l], x.v[l + w])") +
         lanes_function("prod_i32", "i32", "int32_t", "mlc_imul(x.v[l], x.v[l + w])") +
         lanes_function("max_i32", "i32", "int32_t", "mlc_imax(x.v[l], x.v[l + w])") +
         lanes_function("min_i32", "i32", "int32_t", "mlc_imin(x.v[l], x.v[l + w])");
}

std::string c99_name(const Kernel& kernel) {
  std::string name = kernel.name;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

}  // namespace mlc
