#include "compiler/loops/window_taps.h"

#include <numeric>

namespace mlc::loops {
namespace {

Reg number(Context& c, int64_t value) { return c.w().constant(static_cast<double>(value), Elem::index); }

Address negated(const Address& a) { return plus({0, {}}, a, -1); }

Address of(Reg r) { return {0, {{r, 1}}}; }

/// x with a * x = 1 modulo m, where a and m have no common divisor.
int64_t inverse(int64_t a, int64_t m) {
  int64_t r0 = m, r1 = a % m, s0 = 0, s1 = 1;
  while (r1 > 1) {
    int64_t q = r0 / r1;
    std::tie(r0, r1) = std::pair(r1, r0 - q * r1);
    std::tie(s0, s1) = std::pair(s1, s0 - q * s1);
  }
  return m == 1 ? 0 : (s1 % m + m) % m;
}

}  // namespace

Reg at_least_zero(Context& c, const Address& value) {
  // There is no greatest of two index registers: the least of the opposites.
  Reg least = c.w().emit(Code::xmin, {c.index_reg(negated(value)), number(c, 0)});
  return c.w().emit(Code::xmul, {least, number(c, -1)});
}

Reg divided(Context& c, Reg value, int64_t by) { return by == 1 ? value : c.w().emit(Code::xdiv, {value, number(c, by)}); }

Reg divided_up(Context& c, const Address& value, int64_t by) { return divided(c, at_least_zero(c, plus(value, {by - 1, {}})), by); }

TapLoop taps_of_output(Context& c, const WindowAxis& a, const Address& at) {
  TapLoop loop{.source = plus({-a.before, {}}, at, a.stride), .source_step = a.dilation, .trips = a.taps};
  if (a.before == 0 && (a.outputs - 1) * a.stride + a.reach() <= a.inputs) return loop;
  loop.begin = divided_up(c, negated(loop.source), a.dilation);
  loop.end = c.w().emit(Code::xmin, {number(c, a.taps), divided_up(c, plus({a.inputs, {}}, loop.source, -1), a.dilation)});
  return loop;
}

TapLoop taps_of_input(Context& c, const WindowAxis& a, const Address& at) {
  // Taps k with (at + before - k * dilation) divisible by the stride: every step-th from the first.
  int64_t common = std::gcd(a.stride, a.dilation), step = a.stride / common, back = a.dilation / common;
  Address u = plus(at, {a.before, {}});
  TapLoop loop{.source_step = -back, .step = step, .trips = a.taps % step ? -1 : a.taps / step};
  Writer& w = c.w();
  Reg trips = number(c, a.taps / step), first = number(c, 0);
  if (a.stride == 1) {
    loop.source = u;
  } else {
    Reg place = c.index_reg(u);
    if (step > 1) {
      Reg turned = w.emit(Code::xmul, {divided(c, place, common), number(c, inverse(back, step))});
      first = w.emit(Code::xmod, {turned, number(c, step)});
      trips = divided(c, c.index_reg({a.taps + step - 1, {{first, -1}}}), step);
    }
    if (common > 1) {
      Reg rest = w.emit(Code::xmod, {place, number(c, common)});
      trips = w.select(w.emit(Code::ieq, {rest, number(c, 0)}), trips, number(c, 0));
      loop.trips = -1;
    }
    // A source in front of the first output is negative: shifted for the division and back.
    int64_t shift = ((step - 1) * a.dilation + a.stride - 1) / a.stride;
    Reg shifted = divided(c, c.index_reg({shift * a.stride, {{place, 1}, {first, -a.dilation}}}), a.stride);
    loop.source = {-shift, {{shifted, 1}}};
    if (step > 1) loop.first = of(first);
  }
  loop.begin = divided_up(c, plus(loop.source, {1 - a.outputs, {}}), back);
  Reg reached = divided(c, at_least_zero(c, plus(loop.source, {back, {}})), back);
  loop.end = w.emit(Code::xmin, {trips, reached});
  return loop;
}

std::pair<Reg, Reg> outputs_of_tap(Context& c, const WindowAxis& a, const Address& tap) {
  Address before = plus({a.before, {}}, tap, -a.dilation);
  Reg begin = divided_up(c, before, a.stride);
  Reg end = c.w().emit(Code::xmin, {number(c, a.outputs), divided_up(c, plus(before, {a.inputs, {}}), a.stride)});
  return {begin, end};
}

}  // namespace mlc::loops
