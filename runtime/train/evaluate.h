// Runs a program over the rows of a split and collects what it puts out.
#pragma once
#include "runtime/train/metrics.h"
#include "runtime/train/programs.h"

#include <atomic>
#include <map>
#include <string>
#include <vector>

namespace mlc {

/// One output for all rows: 4 bytes per element, f32 or i32 as `type` says; `type` is of one row.
struct OutputTable {
  Type type;
  std::vector<float> values;
  std::vector<int32_t> integers;
};

struct Evaluation {
  int64_t rows = 0;
  double loss = 0;  ///< mean over batches, weighted by their size; not a number without targets
  MetricValues losses;  ///< the same for each update of a spec with `updates`, by "UPDATE_loss"
  std::map<std::string, OutputTable> outputs;  ///< per-sample outputs by name
};

/// Which outputs an evaluation keeps for all rows: none, the one that metrics see, or all.
enum class Keep : uint8_t { none, prediction, all };

/// Most rows of an evaluation's batch when a row has so many numbers going in and coming out: a training batch at least,
/// beyond that about 2^20 numbers and at most 512 rows.
int64_t evaluation_cap(int64_t numbers_per_row, int64_t training_batch);

/// The batch size for evaluating splits of these sizes: at most `cap`, and such that few programs are needed (splits
/// whose rows are a multiple of it need no program for a smaller last batch).
int64_t evaluation_batch(const std::vector<int64_t>& split_sizes, int64_t cap = 512);

/// Every row once, in the order given, in batches of `batch` and a last smaller one. Ends early, with what was done,
/// when `stop` turns true.
Evaluation evaluate_rows(ProgramSource& source, StepKind kind, const Columns& columns, const std::vector<int32_t>& rows, int64_t batch,
                         uint64_t seed, Keep keep, const std::atomic<bool>* stop = nullptr);

/// The numbers of all rows, each of `shape`, with the axis `axis` of each as the last: [C, H, W] becomes [H, W, C].
std::vector<float> axis_last(const std::vector<float>& values, const Shape& shape, int64_t axis);

/// What the rows of a split should give for one predicted output. One of `labels` and `targets` is empty.
struct Truth {
  std::string output;         ///< in front of its tensors in an evaluation: "", "digit."
  std::string metric;         ///< in front of its metrics' keys: "", "digit_"
  std::string target;         ///< the column that it is compared with
  /// Labels: the axis of one prediction along which its classes lie; kEachOne: all numbers are probabilities of the
  /// positive class, each with a label of its own.
  int64_t axis = kLastAxis;
  static constexpr int64_t kLastAxis = -1, kEachOne = -2;
  std::vector<int32_t> labels;
  std::vector<float> targets;
};

/// What metrics need, from an evaluation's outputs (`probability`, else `value`, else the raw output) and the truth.
Predicted predictions_of(const Evaluation& evaluation, const Truth& truth, double threshold);

/// The losses of updates, then all metrics by key. With several outputs each has those that fit its kind (classes or
/// values); a metric that fits none of them is a RuntimeError.
MetricValues measure(const Evaluation& evaluation, const std::vector<Truth>& truths, const TrainSettings& settings);

}  // namespace mlc
