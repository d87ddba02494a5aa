// Made by kernels/math/derive.py; do not edit. Coefficients of x^0, x^1, ... as f32 values.
#pragma once

namespace mlc {

/// (e^x - 1 - x) / x^2 on |x| <= ln 2 / 2.
inline constexpr double kExp[] = {0x1.0000000000000p-1, 0x1.5554900000000p-3, 0x1.5555000000000p-5, 0x1.123a980000000p-7, 0x1.6d37ea0000000p-10};
/// The same, with more terms: the relative error of e^x - 1 counts.
inline constexpr double kExpm1[] = {0x1.0000000000000p-1, 0x1.5555560000000p-3, 0x1.55550a0000000p-5, 0x1.11101e0000000p-7, 0x1.6e3fd00000000p-10, 0x1.ba4fda0000000p-13};
/// (log(1 + x) - x + x^2 / 2) / x^3 for 1 + x between sqrt(1/2) and sqrt(2).
inline constexpr double kLog[] = {0x1.5555460000000p-2, -0x1.ffffee0000000p-3, 0x1.99a5460000000p-3, -0x1.5562f00000000p-3, 0x1.2331aa0000000p-3, -0x1.fb3e640000000p-4, 0x1.e693ca0000000p-4, -0x1.e2f68a0000000p-4, 0x1.19cd5e0000000p-4};
/// (2 atanh(s) - 2 s) / s^3 in powers of s^2, s = (m - 1) / (m + 1).
inline constexpr double kAtanh[] = {0x1.5555560000000p-1, 0x1.9996aa0000000p-2, 0x1.257e800000000p-2, 0x1.aaf1040000000p-3};
/// (sin(x) - x) / x^3 in powers of x^2 on |x| <= pi / 4.
inline constexpr double kSin[] = {-0x1.5555560000000p-3, 0x1.1111760000000p-7, -0x1.a05bb20000000p-13, 0x1.7cd4280000000p-19};
/// (cos(x) - 1 + x^2 / 2) / x^4 in powers of x^2 on |x| <= pi / 4.
inline constexpr double kCos[] = {0x1.5555560000000p-5, -0x1.6c17620000000p-10, 0x1.a075e00000000p-16, -0x1.37205e0000000p-22};
/// erf(x) / x - 1 in powers of x^2 on |x| <= 0.9.
inline constexpr double kErfSmall[] = {0x1.06eba80000000p-3, -0x1.8127400000000p-2, 0x1.ce2d600000000p-4, -0x1.b800720000000p-6, 0x1.54412e0000000p-8, -0x1.a5a8720000000p-11, 0x1.4df1660000000p-14};
/// -log(1 - erf(x)) / x on 0.9 <= x <= 4.
inline constexpr double kErfLarge[] = {0x1.20e27a0000000p+0, 0x1.45b4e00000000p-1, 0x1.aa342c0000000p-4, -0x1.59bdfe0000000p-6, 0x1.b89e8c0000000p-10, 0x1.2bce4a0000000p-11, -0x1.eb84b40000000p-13, 0x1.36037a0000000p-15, -0x1.376b280000000p-19};
/// ln 2 in two f32 parts, the first with 9 trailing zero bits: whole multiples of it are exact.
inline constexpr double kLn2High = 0x1.62e4000000000p-1, kLn2Low = 0x1.7f7d1c0000000p-20;
/// pi / 2 in four f32 parts, for Cody and Waite's reduction.
inline constexpr double kHalfPi[] = {0x1.9200000000000p+0, 0x1.f800000000000p-12, 0x1.aa20000000000p-19, 0x1.0b46120000000p-34};

}  // namespace mlc
