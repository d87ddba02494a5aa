// The learning rate of each step, computed on the host in f64.
#pragma once
#include "compiler/base/host_formula.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

/// One phase of a schedule. Variables of `lr` and of the states' updates, in order: `lr` (the base rate), `k` (the step
/// from 0 within the phase), `total` (steps of the phase), `epoch` (from 0), `value` and `rising` (of the monitored
/// number), then the states.
struct RatePhase {
  enum class Each : uint8_t { step, epoch, validation };
  HostFormula lr;
  std::vector<HostState> states;  ///< updated at `each`, all from the old values
  Each each = Each::step;
  std::string monitor;  ///< of Each::validation
  double length = 0;   ///< in steps or epochs; 0: to the end
  bool length_in_epochs = false;
};

/// Walks the phases. Steps are asked for in order, without gaps; the rate depends on the steps and events before it
/// only.
class RateSchedule {
public:
  /// No phases: `base` throughout. `total_steps` 0: not known.
  RateSchedule(double base, std::vector<RatePhase> phases, int64_t steps_per_epoch, int64_t total_steps);

  /// The rate of step `step` (from 0). Runs the states' updates that fall between the last step and this one.
  double rate(int64_t step);
  /// What the phase of the next step monitors; empty: nothing.
  const std::string& monitor() const;
  /// A validation gave this value for monitor().
  void validated(double value, bool rising);

  /// The states of all phases, for checkpoints.
  std::vector<double> states() const;
  void restore(const std::vector<double>& states, int64_t next_step);

private:
  void enter(int64_t step);
  void update_states();
  std::vector<double>& variables(int64_t step);

  double base_;
  std::vector<RatePhase> phases_;
  std::vector<int64_t> begins_;  // first step of each phase
  std::vector<std::vector<double>> states_;
  std::vector<double> variables_;
  int64_t steps_per_epoch_, total_steps_, next_ = 0;
  size_t phase_ = 0;
  double value_ = 0, rising_ = 0;
};

}  // namespace mlc
