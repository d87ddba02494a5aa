// Formulas on numbers that the host evaluates in f64 while a program runs: learning rates, bias corrections, momenta.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

/// A formula on host scalars in postfix form, evaluated in f64. `+ - * / // % **`, comparisons (1 or 0), `and or not`,
/// select, and the unary functions of the language.
struct HostFormula {
  // clang-format off
  enum class Op : uint8_t {
    number, variable,  // push `value`; push variables[index]
    add, sub, mul, div, floordiv, mod, pow, min, max,
    eq, ne, lt, le, gt, ge, and_, or_, not_,
    select,            // c a b -> c != 0 ? a : b
    neg, abs, sign, exp, expm1, log, log1p, sqrt, rsqrt, sin, cos, tanh, erf, sigmoid, floor, ceil, round, isnan
  };
  // clang-format on
  struct Step {
    Op op;
    double value = 0;
    int index = 0;
  };
  std::vector<Step> steps;
  /// Requires a well-formed formula (one result).
  double evaluate(const double* variables) const;
  std::string print(const std::vector<std::string>& variables) const;  ///< infix, for dumps
};

/// A scalar that the host computes for each step in f64 and passes as f32. Variables are, in order: `lr`, `t` (the
/// optimizer's own step from 1), `k` (the step from 0), then the host state values.
struct ScalarRule {
  std::string name;
  HostFormula formula;
};
/// Optimizer slots of shape []: one f64 on the host. A step's scalars see its value as the step begins; then it is updated.
struct HostState {
  std::string path;
  double init = 0;
  HostFormula update;
};

/// The first scalars of a step are fixed: bits of the step number (u32), seed low and high words (u32 bits each).
inline constexpr int kStepScalar = 0, kSeedLowScalar = 1, kSeedHighScalar = 2, kFirstScalar = 3;

}  // namespace mlc
