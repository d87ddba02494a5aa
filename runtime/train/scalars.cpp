#include "runtime/train/scalars.h"

#include "compiler/base/diagnostics.h"

#include <algorithm>
#include <bit>

namespace mlc {

HostScalars::HostScalars(const Program& program, uint64_t seed) : seed_(seed) {
  for (const HostState& state : program.host_state) {
    paths_.push_back(state.path);
    states_.push_back(state.init);
  }
}

std::vector<float> HostScalars::table(const Program& program, int steps, const std::function<double(int64_t)>& rate) {
  std::vector<float> out;
  out.reserve(static_cast<size_t>(steps) * (kFirstScalar + program.scalars.size()));
  std::vector<size_t> own; // states of this program, by their place here
  for (const HostState& state : program.host_state) {
    auto at = std::find(paths_.begin(), paths_.end(), state.path);
    ensure(at != paths_.end(), "scalars: a program has host state of its own");
    own.push_back(static_cast<size_t>(at - paths_.begin()));
  }
  std::vector<double> variables;
  for (int s = 0; s < steps; ++s, ++step_) {
    double k = static_cast<double>(step_);
    variables = {rate(step_), k + 1, k};
    for (size_t i : own) variables.push_back(states_[i]);
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(step_)));
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(seed_)));
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(seed_ >> 32)));
    for (const ScalarRule& rule : program.scalars)
      out.push_back(static_cast<float>(rule.formula.evaluate(variables.data())));
    for (size_t i = 0; i < own.size(); ++i)
      states_[own[i]] = program.host_state[i].update.evaluate(variables.data());
  }
  return out;
}

void HostScalars::restore(std::vector<double> states, int64_t next_step) {
  states_ = std::move(states);
  step_ = next_step;
}

} // namespace mlc
