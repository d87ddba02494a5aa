// Metrics on the predictions for a whole split, in f64.
#pragma once
#include "runtime/train/settings.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mlc {

/// Predictions of a split beside the truth. One of `labels` and `targets` is filled.
struct Predicted {
  int64_t outputs = 1;         ///< numbers per row: classes, 1 for the probability of the positive class, or values
  std::vector<float> scores;   ///< rows * outputs: probabilities (or any numbers that rank alike), or values
  std::vector<int32_t> labels;  ///< true class of each row
  std::vector<float> targets;  ///< rows * outputs true values
  double threshold = 0.5;      ///< outputs == 1: at and above it the positive class is meant
  bool classes() const { return !labels.empty(); }
  /// Classes that there are: outputs, or 2 for one probability.
  int64_t class_count() const { return outputs == 1 ? 2 : outputs; }
};

/// The predicted class of each row: greatest score, the first of equals; with one output the comparison with threshold.
std::vector<int32_t> predicted_classes(const Predicted& predicted);

/// The value of a metric; not a number where it has no meaning (an AUC of one class, an R2 of equal targets).
/// precision, recall, f1: of the positive class (index 1) of two, else the mean over classes that occur in truth or
/// prediction, 0 where a quotient is 0/0. roc_auc: rank statistic with half for ties; over several classes the mean of
/// one against the rest. perplexity: exp of the mean -log of the true class's probability. mae, rmse, mape: over all values; mape divides
/// by max(|y|, 2^-52), as scikit-learn does. r2: the mean over outputs. Throws RuntimeError when the metric does not fit the predictions.
double metric(const MetricSettings& settings, const Predicted& predicted);

using MetricValues = std::vector<std::pair<std::string, double>>;
/// All of them, in order, by key.
MetricValues evaluate_metrics(const std::vector<MetricSettings>& settings, const Predicted& predicted);

/// The metrics that fit classes (true) or values (false).
bool is_class_metric(const std::string& name);

}  // namespace mlc
