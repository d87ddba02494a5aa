// The training loop: calls of several steps, and the events between them.
#pragma once
#include "runtime/train/batches.h"
#include "runtime/train/evaluate.h"
#include "runtime/train/metrics.h"
#include "runtime/train/programs.h"
#include "runtime/train/scalars.h"
#include "runtime/train/schedule.h"
#include "runtime/train/settings.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// A split: its rows in the resident columns, and what each predicted output should give for them.
struct SplitRows {
  std::vector<int32_t> rows;
  std::vector<Truth> truths;
};

/// Where training stands: with the state arena, all that is needed to go on.
struct TrainCounters {
  int64_t epoch = 0, step_in_epoch = 0, step = 0;  ///< done, from 0
  std::vector<double> host_state;                 ///< in order of Program::host_state
  std::vector<double> schedule_state;
};

/// After each call of steps.
struct CallReport {
  int64_t epoch = 0, epochs = 0;  ///< the running epoch from 1; 0 epochs: not known
  int64_t step_in_epoch = 0, steps_per_epoch = 0;
  int64_t step = 0, total_steps = 0;  ///< 0 total: not known
  int64_t rows = 0;                  ///< of this call
  int steps = 0;
  double loss = 0, seconds = 0;  ///< mean loss and duration of this call
};

/// At the end of an epoch, or of training within one.
struct EpochReport {
  int64_t epoch = 0, step = 0;
  double seconds = 0;  ///< of this epoch, validation included
  double elapsed = 0;  ///< since training began
  double train_loss = 0, lr = 0;
  MetricValues train;  ///< losses of updates
  std::optional<double> val_loss;
  MetricValues val;
  bool best = false;  ///< the monitored value is the best so far
};

class TrainObserver {
public:
  virtual ~TrainObserver() = default;
  virtual void on_call(const CallReport& report) = 0;
  /// Validation begins.
  virtual void on_validating() {}
  virtual void on_epoch(const EpochReport& report) = 0;
  /// A validation within an epoch, which goes on: its values, and the losses since the epoch began.
  virtual void on_validation(const EpochReport& /*report*/) {}
  /// The checkpoint "last" is due.
  virtual void on_last(const TrainCounters& counters) = 0;
  /// The state is the `rank`-th best so far (from 1): what held this rank and those behind it move down by one, and
  /// there are `kept` of them now.
  virtual void on_ranked(int64_t rank, int64_t kept, const TrainCounters& counters) = 0;
};

enum class Ending : uint8_t { epochs, steps, time, early_stopping, interrupted, not_finite };

struct TrainResult {
  Ending ending = Ending::epochs;
  TrainCounters counters;
  std::string cause;     ///< for not_finite: what TrainJob::explain says
  double train_loss = 0;  ///< of the last epoch; for not_finite the value that ended it
  MetricValues train;    ///< losses of updates, of the last epoch
  std::optional<double> val_loss;  ///< of the best checkpoint or the weights gone back to, else of the last validation
  MetricValues val;
  std::string monitor;  ///< what `best` watches; empty: nothing
  int64_t best_epoch = 0;
  double best_value = 0;
  double step_ms = 0;  ///< median over steps
  double train_seconds = 0, eval_seconds = 0;
  double first_step_seconds = 0;  ///< from the start of training to the end of the first step
};

struct TrainJob {
  TrainSettings settings;
  ProgramSource* programs = nullptr;
  SharedState* state = nullptr;
  Columns columns;
  SplitRows train, val;  ///< no validation rows: no validation
  int64_t evaluation_cap = 512;  ///< most rows of a validation's batch
  std::vector<int64_t> thaws;  ///< steps at which a phase with more trained parameters begins
  double base_lr = 0;
  std::vector<RatePhase> schedule;
  struct OwnSchedule {
    int update = 0;  ///< its place among the updates
    double base_lr = 0;
    std::vector<RatePhase> phases;
  };
  std::vector<OwnSchedule> own_schedules;  ///< of updates whose rate does not follow `schedule`
  std::vector<int64_t> every;  ///< per update: it is part of the steps every, 2 * every, ...; none: of all
  TrainObserver* observer = nullptr;
  const std::atomic<bool>* stop = nullptr;  ///< ends training after the running step
  std::optional<TrainCounters> resume;     ///< goes on from here
  /// The step whose loss is not finite.
  struct Failure {
    ProgramKey key;
    const Program* program = nullptr;
    const int32_t* rows = nullptr;         ///< of its batch
    const float* scalars = nullptr;        ///< as in Feed
  };
  /// Says what was wrong, with the state as it was before the step. It is asked where the state is small enough to be kept.
  std::function<std::string(const Failure&)> explain;
};

/// Optimizer steps of one epoch and of the whole run (0: only time ends it), as a schedule's units need them. Throws
/// RuntimeError when there is nothing to train on.
struct StepCounts {
  int64_t per_epoch = 0, total = 0;
};
StepCounts count_steps(const TrainSettings& settings, int64_t train_rows);

/// Trains until an end of the settings is reached. Writes the checkpoint "last" at the end, unless the loss was not
/// finite: the one before then stays.
TrainResult train(const TrainJob& job);

}  // namespace mlc
