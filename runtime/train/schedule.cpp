#include "runtime/train/schedule.h"

#include <cmath>

namespace mlc {

RateSchedule::RateSchedule(double base, std::vector<RatePhase> phases, int64_t steps_per_epoch, int64_t total_steps)
    : base_(base), phases_(std::move(phases)), steps_per_epoch_(steps_per_epoch), total_steps_(total_steps) {
  int64_t begin = 0;
  for (const RatePhase& phase : phases_) {
    begins_.push_back(begin);
    double scale = phase.length_in_epochs ? static_cast<double>(steps_per_epoch) : 1;
    begin += std::llround(phase.length * scale);
    std::vector<double>& states = states_.emplace_back();
    for (const HostState& state : phase.states) states.push_back(state.init);
  }
}

void RateSchedule::enter(int64_t step) {
  while (phase_ + 1 < phases_.size() && step >= begins_[phase_ + 1]) ++phase_;
}

std::vector<double>& RateSchedule::variables(int64_t step) {
  int64_t begin = begins_[phase_];
  int64_t end = phase_ + 1 < phases_.size() ? begins_[phase_ + 1] : total_steps_;
  if (phases_[phase_].length > 0 && phase_ + 1 == phases_.size()) {
    double scale = phases_[phase_].length_in_epochs ? static_cast<double>(steps_per_epoch_) : 1;
    end = begin + std::llround(phases_[phase_].length * scale);
  }
  double total = end > begin ? static_cast<double>(end - begin) : 0;
  variables_ = {base_,  static_cast<double>(step - begin),
                total,  std::floor(static_cast<double>(step) / static_cast<double>(steps_per_epoch_)),
                value_, rising_};
  variables_.insert(variables_.end(), states_[phase_].begin(), states_[phase_].end());
  return variables_;
}

void RateSchedule::update_states() {
  const std::vector<double> old = variables(next_);
  for (size_t i = 0; i < states_[phase_].size(); ++i) states_[phase_][i] = phases_[phase_].states[i].update.evaluate(old.data());
}

double RateSchedule::rate(int64_t step) {
  if (phases_.empty()) return base_;
  next_ = step;
  enter(step);
  const RatePhase& phase = phases_[phase_];
  bool first = step == begins_[phase_];
  bool due = phase.each == RatePhase::Each::step || (phase.each == RatePhase::Each::epoch && step % steps_per_epoch_ == 0);
  if (!first && due && !phase.states.empty()) update_states();
  double rate = phase.lr.evaluate(variables(step).data());
  next_ = step + 1;
  return rate;
}

const std::string& RateSchedule::monitor() const {
  static const std::string none;
  return phases_.empty() || phases_[phase_].each != RatePhase::Each::validation ? none : phases_[phase_].monitor;
}

void RateSchedule::validated(double value, bool rising) {
  if (monitor().empty()) return;
  value_ = value;
  rising_ = rising ? 1 : 0;
  update_states();
}

std::vector<double> RateSchedule::states() const {
  std::vector<double> all;
  for (const std::vector<double>& states : states_) all.insert(all.end(), states.begin(), states.end());
  return all;
}

void RateSchedule::restore(const std::vector<double>& states, int64_t next_step) {
  size_t at = 0;
  for (std::vector<double>& own : states_)
    for (double& state : own)
      if (at < states.size()) state = states[at++];
  next_ = next_step;
  phase_ = 0;
  if (!phases_.empty()) enter(next_step);
}

}  // namespace mlc
