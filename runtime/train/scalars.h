// The numbers that the host computes for each step in f64 and hands over as f32.
#pragma once
#include "runtime/program.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace mlc {

/// Host state and scalar rules of a program, step after step. The programs of a run (full and last smaller batch) have
/// the same rules, so one object serves them all.
class HostScalars {
 public:
  HostScalars(const Program& program, uint64_t seed);

  /// The table for the next `steps` steps: per step its number, the seed's two words, then the program's scalars.
  /// `rate` gives the learning rate of a step. Advances by `steps`.
  std::vector<float> table(int steps, const std::function<double(int64_t)>& rate);

  int64_t step() const { return step_; } ///< of the next row of a table, from 0
  const std::vector<double>& states() const { return states_; }
  void restore(std::vector<double> states, int64_t next_step);

 private:
  std::vector<ScalarRule> rules_;
  std::vector<HostState> state_rules_;
  std::vector<double> states_;
  uint64_t seed_;
  int64_t step_ = 0;
};

} // namespace mlc
