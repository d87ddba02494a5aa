// Elementary functions as loop instructions: polynomials with explicit fma, the same bits on every target and width.
// Arguments are f32 registers, scalar or vector. Errors are the greatest seen over a sweep of all exponents
// (tests/unit/compile/math_test.cpp), in units in the last place of the f32 result: exp and log 1.0, expm1 and erf 1.5,
// log1p 2.0, sin and cos 2.5 (up to |x| = 1000; the reduction loses bits beyond 1e5), sigmoid 3.0, tanh 3.5, pow 4.0. Special
// values as in C; numbers below 2^-126 count as zero.
#pragma once
#include "compiler/loops/build.h"

#include <array>

namespace mlc::loops {

Reg math_exp(Writer& w, Reg x);
Reg math_expm1(Writer& w, Reg x);
Reg math_log(Writer& w, Reg x);
Reg math_log1p(Writer& w, Reg x);
Reg math_sin(Writer& w, Reg x);
Reg math_cos(Writer& w, Reg x);
Reg math_tanh(Writer& w, Reg x);
Reg math_erf(Writer& w, Reg x);
Reg math_sigmoid(Writer& w, Reg x);
Reg math_pow(Writer& w, Reg x, Reg y);

/// Philox4x32-10 (compiler/base/philox.h) on i32 registers: the four words for a counter of four registers and a key of two.
std::array<Reg, 4> math_philox(Writer& w, std::array<Reg, 4> counter, std::array<Reg, 2> key);

}  // namespace mlc::loops
