// Values watched over validations: which is the best, and whether to stop.
#pragma once
#include "runtime/train/session.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlc {

/// What there is to watch after a validation (or an epoch without one).
struct Monitored {
  double train_loss = 0;
  std::optional<double> val_loss;
  const MetricValues* val = nullptr;
  const MetricValues* train = nullptr;  ///< losses of updates
};
/// `train_loss`, `val_loss`, `val_<metric key>` or an update's loss; nothing where it is not there.
std::optional<double> monitored_value(const Monitored& values, const std::string& monitor);

class Monitors {
public:
  /// The best is watched by `checkpoint.monitor`, else the monitor of early stopping, else the loss (val_loss where
  /// `validates`).
  Monitors(const TrainSettings& settings, bool validates);

  struct Outcome {
    bool best = false;      ///< the watched value is the best so far
    int64_t rank = 0;       ///< place of the value among the best that are kept, from 1; 0: not among them
    int64_t kept = 0;       ///< how many there are now
    bool keep = false;      ///< weights to go back to at the end
  };
  Outcome update(const Monitored& values, int64_t epoch);
  bool exhausted() const { return stopping_ && bad_ > 0 && bad_ >= stopping_->patience; }
  void keep(const SharedState& state);
  /// Puts kept weights back and says which epoch was the best.
  void finish(SharedState& state, TrainResult* result) const;

private:
  int64_t rank(double value);

  std::optional<EarlyStopping> stopping_;
  int64_t keep_ = 0;  // best checkpoints that are kept; 0: none are written
  std::string watched_;
  std::vector<double> ranked_;  // their values, the best first
  int64_t best_epoch_ = 0, bad_ = 0;
  std::optional<double> best_, best_stopping_;
  std::vector<char> kept_;
};

/// The median over steps, in milliseconds, of calls given as (seconds per step, steps).
double median_step_ms(std::vector<std::pair<double, int64_t>> calls);

}  // namespace mlc
