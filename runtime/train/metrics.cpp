#include "runtime/train/metrics.h"

#include "compiler/base/diagnostics.h"
#include "runtime/train/classification.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace mlc {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

int64_t row_count(const Predicted& p) { return static_cast<int64_t>(p.scores.size()) / p.outputs; }

double accuracy(const Predicted& p) {
  std::vector<int32_t> classes = predicted_classes(p);
  int64_t right = 0;
  for (size_t i = 0; i < classes.size(); ++i) right += classes[i] == p.labels[i];
  return classes.empty() ? kNaN : static_cast<double>(right) / static_cast<double>(classes.size());
}

// The true class is among the k greatest scores; of equal scores the classes of lower index come first.
double top_k(const Predicted& p, int64_t k) {
  if (p.outputs == 1) return k >= 2 ? 1 : accuracy(p);
  int64_t rows = row_count(p), right = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = &p.scores[static_cast<size_t>(r * p.outputs)];
    int32_t label = p.labels[static_cast<size_t>(r)];
    int64_t before = 0;
    for (int64_t c = 0; c < p.outputs; ++c) before += row[c] > row[label] || (row[c] == row[label] && c < label);
    right += before < k;
  }
  return rows == 0 ? kNaN : static_cast<double>(right) / static_cast<double>(rows);
}

// exp of the mean of -log p(true class). What f32 rounds to zero counts as its least normal number.
double perplexity(const Predicted& p) {
  int64_t rows = row_count(p);
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) {
    int32_t label = p.labels[static_cast<size_t>(r)];
    double probability = p.outputs == 1 ? (label == 1 ? p.scores[static_cast<size_t>(r)] : 1 - double{p.scores[static_cast<size_t>(r)]})
                                        : double{p.scores[static_cast<size_t>(r * p.outputs + label)]};
    sum -= std::log(std::isnan(probability) ? probability : std::max(probability, 0x1p-126));
  }
  return rows == 0 ? kNaN : std::exp(sum / static_cast<double>(rows));
}

// Area under the curve of `score` for rows where label == positive: (sum of their ranks - P(P+1)/2) / (P N), with the
// mean rank for equal scores.
double auc(const Predicted& p, int64_t column, int32_t positive) {
  std::vector<size_t> order(static_cast<size_t>(row_count(p)));
  std::iota(order.begin(), order.end(), size_t{0});
  auto score = [&](size_t row) { return p.scores[row * static_cast<size_t>(p.outputs) + static_cast<size_t>(column)]; };
  for (size_t row : order)
    if (std::isnan(score(row))) return kNaN;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score(a) < score(b); });
  double rank_sum = 0, positives = 0;
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    double hits = 0;
    for (; end < order.size() && score(order[end]) == score(order[begin]); ++end) hits += p.labels[order[end]] == positive;
    rank_sum += hits * (static_cast<double>(begin + 1) + static_cast<double>(end)) / 2;
    positives += hits;
    begin = end;
  }
  double negatives = static_cast<double>(order.size()) - positives;
  if (positives == 0 || negatives == 0) return kNaN;
  return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

double roc_auc(const Predicted& p) {
  if (p.outputs == 1) return auc(p, 0, 1);
  if (p.outputs == 2) return auc(p, 1, 1);
  double sum = 0;
  for (int64_t c = 0; c < p.outputs; ++c) sum += auc(p, c, static_cast<int32_t>(c));
  return sum / static_cast<double>(p.outputs);
}

// precision, recall or f1, by the member of a class's row.
double averaged(const Predicted& p, double ClassScores::* member) {
  std::vector<ClassScores> scores = class_scores(confusion_matrix(p));
  if (p.class_count() == 2) return scores[1].*member;
  double sum = 0;
  int64_t present = 0;
  for (const ClassScores& s : scores) {
    if (s.support == 0 && s.predicted == 0) continue;
    sum += s.*member;
    ++present;
  }
  return present == 0 ? kNaN : sum / static_cast<double>(present);
}

// The mean of f(prediction, truth) over all values.
template <class F> double mean_of(const Predicted& p, F f) {
  double sum = 0;
  for (size_t i = 0; i < p.scores.size(); ++i) sum += f(double{p.scores[i]}, double{p.targets[i]});
  return p.scores.empty() ? kNaN : sum / static_cast<double>(p.scores.size());
}

double r2(const Predicted& p) {
  int64_t rows = row_count(p);
  double total = 0;
  for (int64_t o = 0; o < p.outputs; ++o) {
    double mean = 0, residual = 0, spread = 0;
    for (int64_t r = 0; r < rows; ++r) mean += p.targets[static_cast<size_t>(r * p.outputs + o)] / static_cast<double>(rows);
    for (int64_t r = 0; r < rows; ++r) {
      size_t at = static_cast<size_t>(r * p.outputs + o);
      double y = p.targets[at];
      residual += (y - p.scores[at]) * (y - p.scores[at]);
      spread += (y - mean) * (y - mean);
    }
    total += spread == 0 ? kNaN : 1 - residual / spread;
  }
  return total / static_cast<double>(p.outputs);
}

double class_metric(const MetricSettings& s, const Predicted& p) {
  if (s.name == "accuracy") return accuracy(p);
  if (s.name == "top_k") return top_k(p, s.k);
  if (s.name == "precision") return averaged(p, &ClassScores::precision);
  if (s.name == "recall") return averaged(p, &ClassScores::recall);
  if (s.name == "f1") return averaged(p, &ClassScores::f1);
  if (s.name == "perplexity") return perplexity(p);
  return roc_auc(p);
}

double value_metric(const MetricSettings& s, const Predicted& p) {
  if (s.name == "mae") return mean_of(p, [](double a, double y) { return std::abs(a - y); });
  if (s.name == "rmse") return std::sqrt(mean_of(p, [](double a, double y) { return (a - y) * (a - y); }));
  if (s.name == "mape") return mean_of(p, [](double a, double y) { return std::abs(a - y) / std::max(std::abs(y), 0x1p-52); });
  return r2(p);
}

bool is_value_metric(const std::string& name) { return name == "mae" || name == "rmse" || name == "r2" || name == "mape"; }

}  // namespace

bool is_class_metric(const std::string& name) {
  static const char* const kNames[] = {"accuracy", "top_k", "precision", "recall", "f1", "roc_auc", "perplexity"};
  return std::any_of(std::begin(kNames), std::end(kNames), [&](const char* known) { return name == known; });
}

std::vector<int32_t> predicted_classes(const Predicted& p) {
  int64_t rows = row_count(p);
  std::vector<int32_t> classes(static_cast<size_t>(rows));
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = &p.scores[static_cast<size_t>(r * p.outputs)];
    classes[static_cast<size_t>(r)] =
        p.outputs == 1 ? (row[0] >= p.threshold ? 1 : 0) : static_cast<int32_t>(std::max_element(row, row + p.outputs) - row);
  }
  return classes;
}

double metric(const MetricSettings& settings, const Predicted& predicted) {
  bool of_classes = is_class_metric(settings.name);
  ensure(of_classes || is_value_metric(settings.name), "metric is known");
  if (predicted.scores.empty()) return kNaN;
  if (of_classes && !predicted.classes())
    throw RuntimeError("metric '" + settings.name + "' needs a class target; for numbers there are mae, rmse, r2, mape");
  if (!of_classes && predicted.classes())
    throw RuntimeError("metric '" + settings.name + "' needs a number target; for classes there is accuracy, f1, ...");
  if (of_classes && row_count(predicted) != static_cast<int64_t>(predicted.labels.size()))
    throw RuntimeError("metric '" + settings.name + "': " + std::to_string(predicted.labels.size()) + " labels for " +
                       std::to_string(row_count(predicted)) +
                       " predictions: the output's shape without its class axis must be that of the target");
  return of_classes ? class_metric(settings, predicted) : value_metric(settings, predicted);
}

MetricValues evaluate_metrics(const std::vector<MetricSettings>& settings, const Predicted& predicted) {
  MetricValues values;
  for (const MetricSettings& s : settings) values.emplace_back(s.key, metric(s, predicted));
  return values;
}

bool rises(const std::string& monitor) {
  for (const char* falling : {"loss", "mae", "rmse", "mape", "perplexity"})
    if (monitor.ends_with(falling)) return false;
  return true;
}

}  // namespace mlc
