#include "runtime/train/monitor.h"

#include <algorithm>
#include <cmath>

namespace mlc {
namespace {

// Not a number is never an improvement.
bool improves(double value, const std::optional<double>& best, bool rising, double delta) {
  if (!best) return value == value;
  return rising ? value > *best + delta : value < *best - delta;
}

}  // namespace

std::vector<std::string> TrainSettings::monitors() const {
  std::vector<std::string> out = {"train_loss", "val_loss"};
  for (const MetricSettings& m : metrics) {
    if (outputs.empty()) out.push_back("val_" + m.key);
    for (const std::string& output : outputs) out.push_back("val_" + output + "_" + m.key);
  }
  for (const std::string& update : updates)
    for (const char* part : {"train_", "val_"}) out.push_back(part + update + "_loss");
  return out;
}

std::string loss_key(const std::string& output) { return output.substr(0, output.size() - 5) + "_loss"; }

std::optional<double> monitored_value(const Monitored& values, const std::string& monitor) {
  if (monitor == "train_loss") return values.train_loss;
  if (monitor == "val_loss") return values.val_loss;
  bool val = monitor.starts_with("val_");
  if (!val && !monitor.starts_with("train_")) return {};
  const MetricValues* among = val ? values.val : values.train;
  std::string wanted = monitor.substr(val ? 4 : 6);
  for (size_t i = 0; among && i < among->size(); ++i)
    if ((*among)[i].first == wanted) return (*among)[i].second;
  return {};
}

Monitors::Monitors(const TrainSettings& settings, bool validates)
    : stopping_(settings.early_stopping), keep_(settings.checkpoint.monitor.empty() ? 0 : settings.checkpoint.keep) {
  watched_ = keep_ > 0 ? settings.checkpoint.monitor : stopping_ ? stopping_->monitor : validates ? "val_loss" : "";
}

// An equal value that came later stands behind.
int64_t Monitors::rank(double value) {
  auto at = std::find_if(ranked_.begin(), ranked_.end(), [&](double other) { return improves(value, other, rises(watched_), 0); });
  if (std::isnan(value) || at - ranked_.begin() >= keep_) return 0;
  at = ranked_.insert(at, value);
  if (static_cast<int64_t>(ranked_.size()) > keep_) ranked_.pop_back();
  return at - ranked_.begin() + 1;
}

Monitors::Outcome Monitors::update(const Monitored& values, int64_t epoch) {
  Outcome outcome;
  std::optional<double> value = monitored_value(values, watched_);
  if (value && improves(*value, best_, rises(watched_), 0)) {
    best_ = value;
    best_epoch_ = epoch;
    outcome.best = true;
  }
  if (value && keep_ > 0) outcome.rank = rank(*value);
  outcome.kept = static_cast<int64_t>(ranked_.size());
  if (!stopping_) return outcome;
  std::optional<double> stopping = monitored_value(values, stopping_->monitor);
  if (!stopping) return outcome;
  if (improves(*stopping, best_stopping_, rises(stopping_->monitor), stopping_->min_delta)) {
    best_stopping_ = stopping;
    bad_ = 0;
    outcome.keep = stopping_->restore_best;
  } else {
    ++bad_;
  }
  return outcome;
}

void Monitors::keep(const SharedState& state) {
  kept_.resize(static_cast<size_t>(state.size()));
  state.read(0, kept_.data(), state.size());
}

void Monitors::finish(SharedState& state, TrainResult* result) const {
  if (!kept_.empty() && result->ending != Ending::interrupted) state.write(0, kept_.data(), static_cast<int64_t>(kept_.size()));
  if (!best_) return;
  result->monitor = watched_;
  result->best_epoch = best_epoch_;
  result->best_value = *best_;
}

double median_step_ms(std::vector<std::pair<double, int64_t>> calls) {
  std::sort(calls.begin(), calls.end());
  int64_t total = 0, seen = 0;
  for (const auto& [seconds, steps] : calls) total += steps;
  for (const auto& [seconds, steps] : calls)
    if ((seen += steps) * 2 >= total) return seconds * 1e3;
  return 0;
}

}  // namespace mlc
