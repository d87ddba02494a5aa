// The numbers that the host computes for each step in f64 and hands over as f32.
#pragma once
#include "runtime/program.h"

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace mlc {

/// Host state of a run, step after step. `program` has all of it; the others that share the run (a last smaller batch,
/// steps without some updates) have the same or a part.
class HostScalars {
public:
  HostScalars(const Program& program, uint64_t seed);

  /// What a step is about beside its number: batches are numbered over the run, and each draws random numbers of its own.
  struct Batches {
    int64_t first = 0;  ///< number of the first step's batch
    int64_t rows = 0;  ///< of all batches of a step
  };
  /// Learning rates of a step.
  struct Rates {
    double run = 0;
    std::vector<std::pair<int, double>> own;  ///< by the update's place
  };
  /// The table for the next `steps` steps of a program: per step its batch's number, the seed's two words, then the program's
  /// scalars. `rates` gives the learning rates of a step: that of the run, and of the updates with schedules of their own.
  /// Advances by `steps`.
  std::vector<float> table(const Program& program, int steps, Batches batches, const std::function<Rates(int64_t)>& rates);
  /// The same for steps that only gather: nothing advances.
  std::vector<float> gather_table(const Program& program, int steps, int64_t first_batch) const;

  int64_t step() const { return step_; }  ///< of the next row of a table, from 0
  const std::vector<double>& states() const { return states_; }
  void restore(std::vector<double> states, int64_t next_step);

private:
  void begin_row(std::vector<float>& table, int64_t batch) const;

  std::vector<std::string> paths_;  // of the states
  std::vector<double> states_;
  uint64_t seed_;
  int64_t step_ = 0;
};

}  // namespace mlc
