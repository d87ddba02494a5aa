#!/usr/bin/env python3
"""Derives the polynomial coefficients of compiler/loops/math.cpp: python3 derive.py > coefficients.h (needs mpmath).

Each function is fitted on its reduced interval by weighted minimax (Remez exchange in 60 digits); then coefficients are
rounded to f32 one by one, the rest fitted again to what the rounding left over.
"""
from mpmath import mp, mpf, matrix, lu_solve, exp, log, sin, cos, erf, erfc, sqrt, pi, cos as mcos
import struct

mp.dps = 60


def f32(x):
    return mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def remez(f, w, lo, hi, degree):
    """Coefficients c of sum c[i] x^i with the least greatest |w(x) (f(x) - p(x))| on lo..hi."""
    n = degree + 2
    xs = [(lo + hi) / 2 - (hi - lo) / 2 * mcos(pi * (2 * k + 1) / (2 * n)) for k in range(n)]
    grid = [lo + (hi - lo) * mpf(k) / 2000 for k in range(2001)]
    fs, ws = [f(x) for x in grid], [w(x) for x in grid]
    for _ in range(12):
        a, b = matrix(n, n), matrix(n, 1)
        for i, x in enumerate(xs):
            for j in range(degree + 1):
                a[i, j] = x ** j
            a[i, n - 1] = (-1) ** i / w(x)
            b[i] = f(x)
        c = lu_solve(a, b)
        errors = [wv * (fv - sum(c[j] * x ** j for j in range(degree + 1))) for x, fv, wv in zip(grid, fs, ws)]
        # One extremum for each run of equal sign.
        peaks, best = [], 0
        for k in range(1, len(grid)):
            if errors[k] * errors[k - 1] < 0:
                peaks.append(best)
                best = k
            elif abs(errors[k]) > abs(errors[best]):
                best = k
        peaks.append(best)
        if len(peaks) < n:
            break
        while len(peaks) > n:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        new = [grid[k] for k in peaks]
        if max(abs(p - q) for p, q in zip(new, xs)) < (hi - lo) / 4000:
            break
        xs = new
    return [c[j] for j in range(degree + 1)]


def rounded(f, w, lo, hi, degree):
    """As remez, with f32 coefficients: the lowest is fixed first, the others make up for its rounding."""
    fixed = []
    for step in range(degree + 1):
        rest = lambda x: (f(x) - sum(c * x ** i for i, c in enumerate(fixed))) / x ** step
        tiny = (hi - lo) * mpf("1e-9")
        safe = lambda x: x if abs(x) > tiny else tiny
        c = remez(lambda x: rest(safe(x)), lambda x: w(safe(x)) * abs(safe(x)) ** step, lo, hi, degree - step)
        fixed.append(f32(c[0]))
    return fixed


def show(name, doc, coefficients):
    print(f"/// {doc}")
    print(f"inline constexpr double {name}[] = {{" + ", ".join(float(c).hex() for c in coefficients) + "};")


def near(x):
    return x if x != 0 else mpf("1e-20")


half_ln2 = log(2) / 2 * mpf("1.001")
print("// Made by kernels/math/derive.py; do not edit. Coefficients of x^0, x^1, ... as f32 values.")
print("#pragma once\n\nnamespace mlc {\n")
show("kExp", "(e^x - 1 - x) / x^2 on |x| <= ln 2 / 2.",
     rounded(lambda x: (exp(near(x)) - 1 - near(x)) / near(x) ** 2, lambda x: near(x) ** 2, -half_ln2, half_ln2, 4))
show("kExpm1", "The same, with more terms: the relative error of e^x - 1 counts.",
     rounded(lambda x: (exp(near(x)) - 1 - near(x)) / near(x) ** 2, lambda x: mpf(1), -half_ln2, half_ln2, 5))
lo, hi = sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1
show("kLog", "(log(1 + x) - x + x^2 / 2) / x^3 for 1 + x between sqrt(1/2) and sqrt(2).",
     rounded(lambda x: (log(1 + near(x)) - near(x) + near(x) ** 2 / 2) / near(x) ** 3, lambda x: near(x) ** 2, lo, hi, 8))
s = (sqrt(mpf(2)) - 1) / (sqrt(mpf(2)) + 1)
show("kAtanh", "(2 atanh(s) - 2 s) / s^3 in powers of s^2, s = (m - 1) / (m + 1).",
     rounded(lambda z: (log((1 + sqrt(near(z))) / (1 - sqrt(near(z)))) - 2 * sqrt(near(z))) / near(z) ** mpf(1.5), lambda z: mpf(1), mpf("1e-8"), s * s, 3))
q = (pi / 4) ** 2 * mpf("1.001")
show("kSin", "(sin(x) - x) / x^3 in powers of x^2 on |x| <= pi / 4.",
     rounded(lambda z: (sin(sqrt(near(z))) - sqrt(near(z))) / near(z) ** mpf(1.5), lambda z: near(z), mpf("1e-8"), q, 3))
show("kCos", "(cos(x) - 1 + x^2 / 2) / x^4 in powers of x^2 on |x| <= pi / 4.",
     rounded(lambda z: (cos(sqrt(near(z))) - 1 + near(z) / 2) / near(z) ** 2, lambda z: near(z) ** 2, mpf("1e-6"), q, 3))
show("kErfSmall", "erf(x) / x - 1 in powers of x^2 on |x| <= 0.9.",
     rounded(lambda z: erf(sqrt(near(z))) / sqrt(near(z)) - 1, lambda z: mpf(1), mpf("1e-8"), mpf("0.81"), 6))
show("kErfLarge", "-log(1 - erf(x)) / x on 0.9 <= x <= 4.",
     rounded(lambda x: -log(erfc(x)) / x, lambda x: x * erfc(x), mpf("0.9"), mpf(4), 8))
ln2 = log(2)
hi1 = f32(int(ln2 * 2 ** 15) / mpf(2) ** 15)
print("/// ln 2 in two f32 parts, the first with 9 trailing zero bits: whole multiples of it are exact.")
print(f"inline constexpr double kLn2High = {float(hi1).hex()}, kLn2Low = {float(f32(ln2 - hi1)).hex()};")
half_pi = pi / 2
p1 = f32(int(half_pi * 2 ** 7) / mpf(2) ** 7)
p2 = f32(int((half_pi - p1) * 2 ** 18) / mpf(2) ** 18)
p3 = f32(int((half_pi - p1 - p2) * 2 ** 30) / mpf(2) ** 30)
p4 = f32(half_pi - p1 - p2 - p3)
print("/// pi / 2 in four f32 parts, for Cody and Waite's reduction.")
print("inline constexpr double kHalfPi[] = {" + ", ".join(float(p).hex() for p in (p1, p2, p3, p4)) + "};")
print("\n}  // namespace mlc")
