#include "runtime/train/scalars.h"

#include <bit>

namespace mlc {

HostScalars::HostScalars(const Program& program, uint64_t seed)
    : rules_(program.scalars), state_rules_(program.host_state), seed_(seed) {
  for (const HostState& state : state_rules_) states_.push_back(state.init);
}

std::vector<float> HostScalars::table(int steps, const std::function<double(int64_t)>& rate) {
  std::vector<float> out;
  out.reserve(static_cast<size_t>(steps) * (kFirstScalar + rules_.size()));
  std::vector<double> variables;
  for (int s = 0; s < steps; ++s, ++step_) {
    double k = static_cast<double>(step_);
    variables = {rate(step_), k + 1, k};
    variables.insert(variables.end(), states_.begin(), states_.end());
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(step_)));
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(seed_)));
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(seed_ >> 32)));
    for (const ScalarRule& rule : rules_) out.push_back(static_cast<float>(rule.formula.evaluate(variables.data())));
    for (size_t i = 0; i < states_.size(); ++i) states_[i] = state_rules_[i].update.evaluate(variables.data());
  }
  return out;
}

void HostScalars::restore(std::vector<double> states, int64_t next_step) {
  states_ = std::move(states);
  step_ = next_step;
}

} // namespace mlc
