// Elementwise ops as instructions.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/context.h"
#include "compiler/loops/math.h"

#include <limits>

namespace mlc::loops {
namespace {

Reg integer_floor_division(Writer& w, Reg a, Reg b, bool remainder) {
  // idiv must not see a zero divisor: a // 0 is 0 and a % 0 is a.
  Reg zero = w.constant(0, Elem::i32), by_zero = w.emit(Code::ieq, {b, zero});
  Reg divisor = w.select(by_zero, w.constant(1, Elem::i32), b);
  Reg q = w.emit(Code::idiv, {a, divisor}), r = w.emit(Code::isub, {a, w.emit(Code::imul, {q, divisor})});
  Reg inexact = w.emit(Code::ine, {r, zero}), signs = w.emit(Code::ilt, {w.emit(Code::ixor, {r, divisor}), zero});
  Reg down = w.emit(Code::pand, {inexact, signs});
  Reg result = remainder ? w.select(down, w.emit(Code::iadd, {r, divisor}), r)
                         : w.select(down, w.emit(Code::isub, {q, w.constant(1, Elem::i32)}), q);
  return w.select(by_zero, remainder ? a : zero, result);
}

Reg convert(Writer& w, Reg x, DType to) {
  Elem from = w.type(x).elem;
  switch (to) {
  case DType::f32: return from == Elem::f32 ? x : w.emit(Code::to_f32, {x});
  case DType::boolean:
    if (from == Elem::pred) return x;
    return from == Elem::f32 ? w.emit(Code::ne, {x, w.constant(0)}) : w.emit(Code::ine, {x, w.constant(0, Elem::i32)});
  default:
    if (from == Elem::pred) return w.select(x, w.constant(1, Elem::i32), w.constant(0, Elem::i32));
    if (from == Elem::f32) {
      // Truncates and saturates; not a number becomes 0.
      Reg nan = w.emit(Code::unordered, {x, x}), zero = w.constant(0), most = w.constant(0x1p31), least = w.constant(-0x1p31);
      Reg in_range = w.select(nan, zero, w.emit(Code::max, {w.select(w.emit(Code::lt, {x, most}), x, zero), least}));
      x = w.select(w.emit(Code::le, {most, x}), w.constant(std::numeric_limits<int32_t>::max(), Elem::i32),
                   w.emit(Code::to_i32, {in_range}));
    }
    return to == DType::u8 ? w.emit(Code::iand, {x, w.constant(255, Elem::i32)}) : x;
  }
}

}  // namespace

Reg Context::arithmetic(ValueId id, const std::vector<Reg>& in) {
  const Op& op = graph_.ops[id];
  Writer& w = writer_;
  bool real = !in.empty() && w.type(in[0]).elem == Elem::f32, pred = !in.empty() && w.type(in[0]).elem == Elem::pred;
  auto either = [&](Code f, Code i) { return w.emit(real ? f : i, in); };
  auto zero = [&] { return w.constant(0, real ? Elem::f32 : Elem::i32); };
  auto one = [&](double v) { return w.constant(v, real ? Elem::f32 : Elem::i32); };
  switch (op.code) {
  case OpCode::neg: return real ? w.emit(Code::neg, in) : w.emit(Code::isub, {zero(), in[0]});
  case OpCode::abs:
    return real ? w.emit(Code::abs, in) : w.select(w.emit(Code::ilt, {in[0], zero()}), w.emit(Code::isub, {zero(), in[0]}), in[0]);
  case OpCode::sign: {
    Reg below = w.emit(real ? Code::lt : Code::ilt, {in[0], zero()}), above = w.emit(real ? Code::lt : Code::ilt, {zero(), in[0]});
    return w.select(below, one(-1), w.select(above, one(1), in[0]));
  }
  case OpCode::exp: return math_exp(w, in[0]);
  case OpCode::expm1: return math_expm1(w, in[0]);
  case OpCode::log: return math_log(w, in[0]);
  case OpCode::log1p: return math_log1p(w, in[0]);
  case OpCode::sqrt: return w.emit(Code::sqrt, in);
  case OpCode::rsqrt: return w.emit(Code::div, {w.constant(1), w.emit(Code::sqrt, in)});
  case OpCode::sin: return math_sin(w, in[0]);
  case OpCode::cos: return math_cos(w, in[0]);
  case OpCode::tanh: return math_tanh(w, in[0]);
  case OpCode::erf: return math_erf(w, in[0]);
  case OpCode::sigmoid: return math_sigmoid(w, in[0]);
  case OpCode::floor: return real ? w.emit(Code::floor, in) : in[0];
  case OpCode::round: return real ? w.emit(Code::round, in) : in[0];
  case OpCode::isnan: return w.emit(Code::unordered, {in[0], in[0]});
  case OpCode::logical_not: return w.emit(Code::pnot, in);
  case OpCode::cast: return convert(w, in[0], op.type.dtype);
  case OpCode::stop_gradient:
  case OpCode::copy: return in[0];
  case OpCode::add: return either(Code::add, Code::iadd);
  case OpCode::sub: return either(Code::sub, Code::isub);
  case OpCode::mul: return either(Code::mul, Code::imul);
  case OpCode::div: return w.emit(Code::div, in);
  case OpCode::floordiv:
    if (!real) return integer_floor_division(w, in[0], in[1], false);
    return w.emit(Code::floor, {w.emit(Code::div, in)});
  case OpCode::mod:
    if (!real) return integer_floor_division(w, in[0], in[1], true);
    return w.sub(in[0], w.mul(w.emit(Code::floor, {w.emit(Code::div, in)}), in[1]));
  case OpCode::max: return real ? w.emit(Code::max, in) : w.select(w.emit(Code::ilt, {in[0], in[1]}), in[1], in[0]);
  case OpCode::min: return real ? w.emit(Code::min, in) : w.select(w.emit(Code::ilt, {in[0], in[1]}), in[0], in[1]);
  case OpCode::pow: return math_pow(w, in[0], in[1]);
  case OpCode::eq:
  case OpCode::ne: {
    if (!pred) return op.code == OpCode::eq ? either(Code::eq, Code::ieq) : either(Code::ne, Code::ine);
    Reg both = w.emit(Code::pand, in), none = w.emit(Code::pnot, {w.emit(Code::por, in)}), same = w.emit(Code::por, {both, none});
    return op.code == OpCode::eq ? same : w.emit(Code::pnot, {same});
  }
  case OpCode::lt: return either(Code::lt, Code::ilt);
  case OpCode::le: return either(Code::le, Code::ile);
  case OpCode::logical_and: return w.emit(Code::pand, in);
  case OpCode::logical_or: return w.emit(Code::por, in);
  case OpCode::select: return w.select(in[0], in[1], in[2]);
  default: throw InternalError("lower: not an elementwise op");
  }
}

}  // namespace mlc::loops
