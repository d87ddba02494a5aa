// Derivatives against central differences, in f64 on the interpreter.
#pragma once
#include "compiler/graph/graph.h"

#include <limits>

namespace mlc {

/// A number of the graph and its derivative by other values of the graph.
struct GradientProbe {
  ValueId result = kNoValue;              ///< one element
  std::vector<ValueId> at;                ///< floats that `result` may depend on
  std::vector<ValueId> gradient;          ///< per entry of `at`, of its shape; kNoValue: stated to be 0
};

/// What was found for one entry of `at`.
struct GradientDifference {
  int64_t elements = 0;
  int probes = 0;                         ///< single elements and directions over all elements
  double worst = 0;                       ///< greatest |given - expected|, over the greater of both and a floor for rounding
  bool off = false;                       ///< beyond kGradientTolerance, and no kink of the function explains it
  int64_t element = -1;                   ///< of the worst probe; -1: a direction over all elements
  double given = 0, expected = 0;         ///< there: by the graph, by differences
};

inline constexpr double kGradientTolerance = 1e-5;

/// Moves all values of `probe.at` together along one random direction; then, while `seconds` for all of it last, each of them: all
/// elements along two random directions, and up to 8 single ones. A value that the time does not reach has 0 probes: it is
/// right where all together are; where they are not each has one probe at least. What stop_gradient covers stays where it
/// is. Where the function has a kink any value between the slopes of both sides is right.
std::vector<GradientDifference> check_gradient(const Graph& graph, const GradientProbe& probe, const StepInput<double>& input,
                                               double seconds = std::numeric_limits<double>::infinity());

}  // namespace mlc
