// What a training run needs to know beside its programs and its data: plain values, filled from the spec by tools/cli.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// "every: 1 epoch", "every: 500 steps".
struct Every {
  int64_t count = 1;
  bool epochs = true;
};

/// One entry of `eval.metrics`. `name` is the metric's own name; `key` the one that results go by (`top_5`).
struct MetricSettings {
  std::string name, key;
  int64_t k = 5;  ///< top_k
};

/// A value watched over validations: `val_loss`, `train_loss` or `val_<metric key>`.
struct EarlyStopping {
  std::string monitor;
  int64_t patience = 0;  ///< ends at this many validations in a row without improvement; 0 as 1 (Keras, Lightning)
  double min_delta = 0;
  bool restore_best = false;
};

struct CheckpointSettings {
  std::string monitor;        ///< empty: no best checkpoint is kept
  int64_t keep = 1;           ///< how many of the best
  std::optional<Every> every;  ///< writes `last` during training too
};

/// The first of `epochs`, `steps` and `seconds` that is reached ends training; 0 means no such limit.
struct TrainSettings {
  int64_t epochs = 0, steps = 0;
  double seconds = 0;
  int64_t batch_size = 32;
  bool shuffle = true, drop_last = false;
  int64_t accumulate = 1;  ///< batches of a step
  Every validate;
  std::vector<MetricSettings> metrics;
  double threshold = 0.5;  ///< of the positive class, for metrics on classes
  std::optional<EarlyStopping> early_stopping;
  CheckpointSettings checkpoint;
  uint64_t seed = 0;

  std::vector<std::string> updates;  ///< names in file order; none: a single one
  std::vector<std::string> outputs;  ///< where several are compared with targets: their names

  /// What may be monitored: train_loss, val_loss, and val_METRIC of each metric (with several outputs, val_OUTPUT_METRIC);
  /// with `updates` also train_UPDATE_loss and val_UPDATE_loss.
  std::vector<std::string> monitors() const;
};

/// The key of an update's loss, "UPDATE_loss", from the name of its output, "UPDATE.loss".
std::string loss_key(const std::string& output);

/// True where a greater value of this monitor is better: all metrics but losses and errors.
bool rises(const std::string& monitor);

}  // namespace mlc
