#include "runtime/train/scalars.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/host_variables.h"

#include <algorithm>
#include <bit>

namespace mlc {

HostScalars::HostScalars(const Program& program, uint64_t seed) : seed_(seed) {
  for (const HostState& state : program.host_state) {
    paths_.push_back(state.path);
    states_.push_back(state.init);
  }
}

void HostScalars::begin_row(std::vector<float>& table, int64_t batch) const {
  table.push_back(std::bit_cast<float>(static_cast<uint32_t>(batch)));
  table.push_back(std::bit_cast<float>(static_cast<uint32_t>(seed_)));
  table.push_back(std::bit_cast<float>(static_cast<uint32_t>(seed_ >> 32)));
}

std::vector<float> HostScalars::gather_table(const Program& program, int steps, int64_t first_batch) const {
  ensure(program.scalars.empty() && program.host_state.empty(), "scalars: a step that gathers needs none");
  std::vector<float> out;
  for (int s = 0; s < steps; ++s) begin_row(out, first_batch + s);
  return out;
}

std::vector<float> HostScalars::table(const Program& program, int steps, Batches batches, const std::function<Rates(int64_t)>& rates) {
  std::vector<float> out;
  out.reserve(static_cast<size_t>(steps) * (kFirstScalar + program.scalars.size()));
  std::vector<size_t> own;  // states of this program, by their place here
  for (const HostState& state : program.host_state) {
    auto at = std::find(paths_.begin(), paths_.end(), state.path);
    ensure(at != paths_.end(), "scalars: a program has host state of its own");
    own.push_back(static_cast<size_t>(at - paths_.begin()));
  }
  std::vector<double> variables;
  for (int s = 0; s < steps; ++s, ++step_) {
    double k = static_cast<double>(step_);
    Rates now = rates(step_);
    variables.assign(kHostState, 0);
    variables[kHostLr] = now.run, variables[kHostT] = k + 1, variables[kHostK] = k,
    variables[kHostRows] = static_cast<double>(batches.rows);
    for (const auto& [update, rate] : now.own) variables[static_cast<size_t>(kHostRates + update)] = rate;
    for (size_t i : own) variables.push_back(states_[i]);
    begin_row(out, batches.first + s);
    for (const ScalarRule& rule : program.scalars) out.push_back(static_cast<float>(rule.formula.evaluate(variables.data())));
    for (size_t i = 0; i < own.size(); ++i) states_[own[i]] = program.host_state[i].update.evaluate(variables.data());
  }
  return out;
}

void HostScalars::restore(std::vector<double> states, int64_t next_step) {
  states_ = std::move(states);
  step_ = next_step;
}

}  // namespace mlc
