#include "compiler/loops/math.h"

#include "kernels/math/coefficients.h"

#include <cmath>
#include <limits>

namespace mlc::loops {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kLog2E = 1.4426950408889634, kTwoOverPi = 0.6366197723675814;

/// Shorthand for formulas on registers.
struct Math {
  Writer& w;
  Reg c(double v) { return w.constant(v); }
  Reg i(int32_t v) { return w.constant(v, Elem::i32); }
  Reg op(Code code, Reg a) { return w.emit(code, {a}); }
  Reg op(Code code, Reg a, Reg b) { return w.emit(code, {a, b}); }
  Reg add(Reg a, Reg b) { return w.add(a, b); }
  Reg sub(Reg a, Reg b) { return w.sub(a, b); }
  Reg mul(Reg a, Reg b) { return w.mul(a, b); }
  Reg div(Reg a, Reg b) { return op(Code::div, a, b); }
  Reg fma(Reg a, Reg b, Reg x) { return w.fma(a, b, x); }
  Reg select(Reg p, Reg a, Reg b) { return w.select(p, a, b); }
  Reg less(Reg a, Reg b) { return op(Code::lt, a, b); }
  Reg at_most(Reg a, Reg b) { return op(Code::le, a, b); }
  Reg is_nan(Reg a) { return op(Code::unordered, a, a); }

  template <size_t n> Reg poly(const double (&k)[n], Reg x) {
    Reg p = c(k[n - 1]);
    for (size_t j = n - 1; j-- > 0;) p = fma(p, x, c(k[j]));
    return p;
  }
  /// 2^n for whole n in -126..127.
  Reg power_of_two(Reg n) { return op(Code::bits_f32, op(Code::ishl, op(Code::iadd, n, i(127)), i(23))); }
  /// x with the sign of s; x is not negative.
  Reg with_sign(Reg x, Reg s) {
    Reg sign = op(Code::iand, op(Code::bits_i32, s), i(std::numeric_limits<int32_t>::min()));
    return op(Code::bits_f32, op(Code::ior, op(Code::bits_i32, x), sign));
  }
};

struct Reduced {
  Reg n, f;   // x = n ln 2 + f, n whole
};
Reduced reduce_exp(Math& m, Reg x) {
  Reg n = m.op(Code::round, m.mul(x, m.c(kLog2E)));
  Reg f = m.fma(n, m.c(-kLn2Low), m.fma(n, m.c(-kLn2High), x));
  return {n, f};
}

struct Split {
  Reg exponent, mantissa;   // x = 2^exponent * mantissa, mantissa in sqrt(1/2)..sqrt(2); exponent as f32
};
Split split_log(Math& m, Reg x) {
  Reg bits = m.op(Code::isub, m.op(Code::bits_i32, x), m.i(0x3f3504f3));
  Reg e = m.op(Code::iashr, bits, m.i(23));
  Reg mantissa = m.op(Code::iadd, m.op(Code::iand, bits, m.i(0x7fffff)), m.i(0x3f3504f3));
  return {m.op(Code::to_f32, e), m.op(Code::bits_f32, mantissa)};
}

// The sine (odd 0) or cosine (odd 1) of x.
Reg circular(Writer& w, Reg x, int32_t quarter) {
  Math m{w};
  Reg n = m.op(Code::round, m.mul(x, m.c(kTwoOverPi))), f = x;
  for (double part : kHalfPi) f = m.fma(n, m.c(-part), f);
  // Far out the reduction has no bits left: the argument is taken as 0 turns, so that conversion stays defined.
  Reg near = m.less(m.op(Code::abs, n), m.c(0x1p30));
  Reg q = m.op(Code::iadd, m.op(Code::to_i32, m.select(near, n, m.c(0))), m.i(quarter));
  Reg z = m.mul(f, f);
  Reg sine = m.fma(m.mul(z, f), m.poly(kSin, z), f);
  Reg cosine = m.fma(m.mul(z, z), m.poly(kCos, z), m.fma(z, m.c(-0.5), m.c(1)));
  Reg odd = m.op(Code::ine, m.op(Code::iand, q, m.i(1)), m.i(0));
  Reg negative = m.op(Code::ishl, m.op(Code::iand, q, m.i(2)), m.i(30));
  Reg value = m.select(odd, cosine, sine);
  value = m.op(Code::bits_f32, m.op(Code::ixor, m.op(Code::bits_i32, value), negative));
  return m.select(m.less(m.op(Code::abs, x), m.c(kInf)), value, m.c(std::nan("")));
}

}  // namespace

Reg math_exp(Writer& w, Reg x) {
  Math m{w};
  Reg bounded = m.op(Code::max, m.op(Code::min, x, m.c(89)), m.c(-104));
  auto [n, f] = reduce_exp(m, bounded);
  Reg p = m.add(m.fma(m.mul(f, f), m.poly(kExp, f), f), m.c(1));
  // 2^n in two factors: n reaches 128 above and -150 below.
  Reg whole = m.op(Code::to_i32, m.select(m.is_nan(n), m.c(0), n)), half = m.op(Code::iashr, whole, m.i(1));
  return m.mul(m.mul(p, m.power_of_two(half)), m.power_of_two(m.op(Code::isub, whole, half)));
}

Reg math_expm1(Writer& w, Reg x) {
  Math m{w};
  Reg bounded = m.op(Code::max, m.op(Code::min, x, m.c(89)), m.c(-25));
  auto [n, f] = reduce_exp(m, bounded);
  Reg p = m.fma(m.mul(f, f), m.poly(kExpm1, f), f);
  // Half of the power keeps 2^128 in range until the last product.
  Reg half = m.power_of_two(m.op(Code::isub, m.op(Code::to_i32, m.select(m.is_nan(n), m.c(0), n)), m.i(1)));
  Reg value = m.mul(m.fma(half, p, m.sub(half, m.c(0.5))), m.c(2));
  return m.select(m.less(m.op(Code::abs, x), m.c(0x1p-25)), x, value);
}

Reg math_log(Writer& w, Reg x) {
  Math m{w};
  auto [e, mantissa] = split_log(m, x);
  Reg f = m.sub(mantissa, m.c(1)), z = m.mul(f, f);
  Reg tail = m.fma(m.mul(z, f), m.poly(kLog, f), m.mul(e, m.c(kLn2Low)));
  Reg value = m.fma(e, m.c(kLn2High), m.add(m.fma(z, m.c(-0.5), tail), f));
  value = m.select(m.less(x, m.c(kInf)), value, x);
  value = m.select(m.less(x, m.c(0)), m.c(std::nan("")), value);
  return m.select(m.op(Code::eq, x, m.c(0)), m.c(-kInf), value);
}

Reg math_log1p(Writer& w, Reg x) {
  Math m{w};
  // log(u) of the rounded u = 1 + x, and what the rounding lost.
  Reg u = m.add(x, m.c(1)), lost = m.sub(x, m.sub(u, m.c(1)));
  Reg value = m.add(math_log(w, u), m.div(lost, u));
  value = m.select(m.less(x, m.c(kInf)), value, x);
  value = m.select(m.op(Code::eq, u, m.c(0)), m.c(-kInf), value);
  return m.select(m.op(Code::eq, u, m.c(1)), x, value);
}

Reg math_sin(Writer& w, Reg x) { return circular(w, x, 0); }
Reg math_cos(Writer& w, Reg x) { return circular(w, x, 1); }

Reg math_tanh(Writer& w, Reg x) {
  Math m{w};
  Reg t = math_expm1(w, m.mul(m.op(Code::min, m.op(Code::abs, x), m.c(10)), m.c(2)));
  return m.with_sign(m.div(t, m.add(t, m.c(2))), x);
}

Reg math_erf(Writer& w, Reg x) {
  Math m{w};
  Reg z = m.mul(x, x), small = m.fma(x, m.poly(kErfSmall, z), x);
  Reg a = m.op(Code::min, m.op(Code::abs, x), m.c(4));
  Reg large = m.sub(m.c(1), math_exp(w, m.op(Code::neg, m.mul(a, m.poly(kErfLarge, a)))));
  return m.select(m.less(m.op(Code::abs, x), m.c(0.9)), small, m.with_sign(large, x));
}

Reg math_sigmoid(Writer& w, Reg x) {
  Math m{w};
  return m.div(m.c(1), m.add(m.c(1), math_exp(w, m.op(Code::neg, x))));
}

Reg math_pow(Writer& w, Reg x, Reg y) {
  Math m{w};
  Reg a = m.op(Code::abs, x);
  auto [e, mantissa] = split_log(m, a);
  // log(mantissa) = 2 s + s^3 p(s^2), s = (mantissa - 1) / (mantissa + 1), in two words.
  Reg top = m.sub(mantissa, m.c(1)), d = m.add(mantissa, m.c(1)), d_lost = m.sub(mantissa, m.sub(d, m.c(1)));
  Reg s = m.div(top, d);
  Reg s_lost = m.div(m.fma(m.op(Code::neg, s), d_lost, m.fma(m.op(Code::neg, s), d, top)), d);
  Reg z = m.mul(s, s), tail = m.fma(m.mul(z, s), m.poly(kAtanh, z), m.mul(s_lost, m.c(2)));
  // e ln 2 + 2 s + tail: the first product is exact.
  Reg base = m.mul(e, m.c(kLn2High)), twice = m.mul(s, m.c(2)), high = m.add(base, twice);
  Reg part = m.sub(high, base), lost = m.add(m.sub(base, m.sub(high, part)), m.sub(twice, part));
  Reg low = m.add(lost, m.fma(e, m.c(kLn2Low), tail)), sum = m.add(high, low);
  low = m.sub(low, m.sub(sum, high));
  high = sum;
  Reg product = m.mul(y, high), rest = m.fma(y, low, m.fma(y, high, m.op(Code::neg, product)));
  Reg value = math_exp(w, product);
  // Where the first word overflows there is nothing to correct.
  Reg correctable = m.op(Code::pand, m.less(m.op(Code::abs, product), m.c(100)), m.less(value, m.c(kInf)));
  value = m.select(correctable, m.fma(value, rest, value), value);
  // C's special cases.
  Reg zero = m.c(0), one = m.c(1), inf = m.c(kInf), up = m.less(zero, y);
  value = m.select(m.op(Code::eq, a, zero), m.select(up, zero, inf), value);
  value = m.select(m.op(Code::eq, a, inf), m.select(up, inf, zero), value);
  Reg y_whole = m.op(Code::eq, m.op(Code::floor, y), y);
  Reg half = m.mul(y, m.c(0.5)), y_odd = m.op(Code::pand, y_whole, m.op(Code::ne, m.op(Code::floor, half), half));
  Reg negative = m.op(Code::ilt, m.op(Code::bits_i32, x), m.i(0));
  value = m.select(m.op(Code::pand, negative, y_odd), m.op(Code::neg, value), value);
  Reg no_power = m.op(Code::pand, m.op(Code::pand, m.less(x, zero), m.op(Code::lt, a, inf)), m.op(Code::pnot, y_whole));
  value = m.select(no_power, m.c(std::nan("")), value);
  value = m.select(m.op(Code::unordered, x, y), m.c(std::nan("")), value);
  value = m.select(m.op(Code::pand, m.op(Code::eq, a, one), m.op(Code::eq, m.op(Code::abs, y), inf)), one, value);
  return m.select(m.op(Code::por, m.op(Code::eq, y, zero), m.op(Code::eq, x, one)), one, value);
}

std::array<Reg, 4> math_philox(Writer& w, std::array<Reg, 4> counter, std::array<Reg, 2> key) {
  Math m{w};
  Reg k0 = key[0], k1 = key[1], a = m.i(static_cast<int32_t>(0xD2511F53)), b = m.i(static_cast<int32_t>(0xCD9E8D57));
  for (int round = 0; round < 10; ++round) {
    Reg high0 = m.op(Code::umulh, a, counter[0]), low0 = m.op(Code::imul, a, counter[0]);
    Reg high1 = m.op(Code::umulh, b, counter[2]), low1 = m.op(Code::imul, b, counter[2]);
    counter = {m.op(Code::ixor, m.op(Code::ixor, high1, counter[1]), k0), low1, m.op(Code::ixor, m.op(Code::ixor, high0, counter[3]), k1),
               low0};
    k0 = m.op(Code::iadd, k0, m.i(static_cast<int32_t>(0x9E3779B9)));
    k1 = m.op(Code::iadd, k1, m.i(static_cast<int32_t>(0xBB67AE85)));
  }
  return counter;
}

}  // namespace mlc::loops
