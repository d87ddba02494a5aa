// What the host's formulas of a training step may read, by place: HostFormula::Step::index.
#pragma once
#include <string>
#include <vector>

namespace mlc {

/// The rate of the run, the step from 1 and from 0, the rows of all batches of a step; then the rate of each update (by its place)
/// that has a schedule of its own; then the host states.
inline constexpr int kHostLr = 0, kHostT = 1, kHostK = 2, kHostRows = 3, kHostRates = 4;
inline constexpr int kMostUpdates = 32;
inline constexpr int kHostState = kHostRates + kMostUpdates;

/// Names of those before the host states: lr, t, k, rows, lr1 (of the first update), lr2, ...
inline std::vector<std::string> host_variables() {
  std::vector<std::string> names = {"lr", "t", "k", "rows"};
  for (int update = 1; update <= kMostUpdates; ++update) names.push_back("lr" + std::to_string(update));
  return names;
}

}  // namespace mlc
