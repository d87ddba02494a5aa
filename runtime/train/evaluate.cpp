#include "runtime/train/evaluate.h"

#include "compiler/base/diagnostics.h"
#include "runtime/train/scalars.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace mlc {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Losses are shared, all other outputs per-sample.
bool is_loss(const TensorSlot& slot) { return slot.role == Role::output && slot.type.shape.empty(); }

bool kept(const Program& program, const std::string& output, Keep keep) {
  if (keep == Keep::none) return false;
  if (keep == Keep::all) return true;
  // A raw output stands back behind what the loss predicts from it.
  std::string prefix = output == "output" ? "" : output + ".";
  return !find_output(program, prefix + "probability") && !find_output(program, prefix + "value");
}

// Adds the outputs of `steps` steps to the tables.
void collect(const Program& program, const std::vector<float>& results, int steps, Keep keep, Evaluation& evaluation) {
  for (const TensorSlot& slot : program.tensors) {
    if (slot.role != Role::output || is_loss(slot) || !kept(program, slot.path, keep)) continue;
    OutputTable& table = evaluation.outputs[slot.path];
    table.type = {slot.type.dtype, Shape(slot.type.shape.begin() + 1, slot.type.shape.end())};
    size_t count = static_cast<size_t>(slot.type.elements());
    for (int s = 0; s < steps; ++s) {
      const float* from =
          &results[static_cast<size_t>(s) * static_cast<size_t>(program.results_per_step) + static_cast<size_t>(slot.offset)];
      if (slot.type.dtype == DType::f32) {
        table.values.insert(table.values.end(), from, from + count);
      } else {
        table.integers.resize(table.integers.size() + count);
        std::memcpy(table.integers.data() + table.integers.size() - count, from, count * sizeof(int32_t));
      }
    }
  }
}

// Calls are short enough that a stop is seen soon and results stay small.
constexpr int64_t kRowsPerCall = 4096, kResultsPerCall = 1 << 22;
constexpr int64_t kNumbersPerBatch = 1 << 20, kMostRows = 512;

}  // namespace

int64_t evaluation_cap(int64_t numbers_per_row, int64_t training_batch) {
  return std::max(training_batch, std::clamp<int64_t>(kNumbersPerBatch / std::max<int64_t>(numbers_per_row, 1), 1, kMostRows));
}

int64_t evaluation_batch(const std::vector<int64_t>& split_sizes, int64_t cap) {
  int64_t largest = 1;
  for (int64_t size : split_sizes) largest = std::max(largest, size);
  int64_t best = std::min(largest, cap), fewest = std::numeric_limits<int64_t>::max();
  for (int64_t batch = best; batch >= std::max<int64_t>(best / 4, 1); --batch) {
    std::vector<int64_t> programs{batch};
    for (int64_t size : split_sizes)
      if (size % batch != 0) programs.push_back(size % batch);
    std::sort(programs.begin(), programs.end());
    int64_t count = std::unique(programs.begin(), programs.end()) - programs.begin();
    if (count < fewest) {
      fewest = count;
      best = batch;
    }
  }
  return best;
}

Evaluation evaluate_rows(ProgramSource& source, StepKind kind, const Columns& columns, const std::vector<int32_t>& rows, int64_t batch,
                         uint64_t seed, Keep keep, const std::atomic<bool>* stop) {
  Evaluation evaluation;
  int64_t total = static_cast<int64_t>(rows.size());
  std::map<std::string, double> weighted;  // sums of losses over rows
  std::vector<float> results;
  while (evaluation.rows < total && !(stop && stop->load(std::memory_order_relaxed))) {
    int64_t left = total - evaluation.rows, size = std::min(batch, left);
    StepProgram step = source.get({kind, size});
    const Program& program = *step.program;
    int64_t most = std::min(kRowsPerCall / size, kResultsPerCall / std::max<int64_t>(program.results_per_step, 1));
    int steps = static_cast<int>(std::clamp<int64_t>(most, 1, left / size));
    HostScalars scalars(program, seed);
    size_t per_step = static_cast<size_t>(program.results_per_step);
    results.assign(per_step * static_cast<size_t>(steps), 0);
    Feed feed;
    feed.steps = steps;
    feed.columns = bind_columns(program, columns);
    feed.rows = rows.data() + evaluation.rows;
    std::vector<float> table = scalars.table(program, steps, {evaluation.rows / batch, size}, [](int64_t) { return HostScalars::Rates{}; });
    feed.scalars = table.data();
    feed.results = results.data();
    int done = step.executable->run(feed);
    ensure(done == steps, "an evaluation runs all of its steps");
    for (const TensorSlot& slot : program.tensors) {
      if (!is_loss(slot)) continue;
      double& sum = weighted[slot.path];
      for (int s = 0; s < steps; ++s)
        sum += double{results[static_cast<size_t>(s) * per_step + static_cast<size_t>(slot.offset)]} * static_cast<double>(size);
    }
    collect(program, results, steps, keep, evaluation);
    evaluation.rows += size * steps;
  }
  evaluation.loss = kNaN;
  for (const auto& [path, sum] : weighted) {
    double mean = sum / static_cast<double>(evaluation.rows);
    if (path == "loss") evaluation.loss = mean;
    else evaluation.losses.emplace_back(loss_key(path), mean);
  }
  return evaluation;
}

std::vector<float> axis_last(const std::vector<float>& values, const Shape& shape, int64_t axis) {
  size_t outer = 1, classes = static_cast<size_t>(shape[static_cast<size_t>(axis)]), inner = 1;
  for (size_t i = static_cast<size_t>(axis) + 1; i < shape.size(); ++i) inner *= static_cast<size_t>(shape[i]);
  if (inner == 1) return values;
  outer = values.size() / (classes * inner);
  std::vector<float> out(values.size());
  for (size_t o = 0; o < outer; ++o)
    for (size_t c = 0; c < classes; ++c)
      for (size_t i = 0; i < inner; ++i) out[(o * inner + i) * classes + c] = values[(o * classes + c) * inner + i];
  return out;
}

namespace {

// A label that is no class is one that the loss ignores: it is no row.
void leave_out_ignored(Predicted& p) {
  auto rows = static_cast<int64_t>(p.labels.size());
  auto ignored = [&](int32_t label) { return label < 0 || label >= p.class_count(); };
  if (rows * p.outputs != static_cast<int64_t>(p.scores.size()) || std::none_of(p.labels.begin(), p.labels.end(), ignored)) return;
  size_t kept = 0;
  for (size_t r = 0; r < p.labels.size(); ++r) {
    if (ignored(p.labels[r])) continue;
    p.labels[kept] = p.labels[r];
    std::copy_n(p.scores.begin() + static_cast<int64_t>(r) * p.outputs, p.outputs,
                p.scores.begin() + static_cast<int64_t>(kept) * p.outputs);
    ++kept;
  }
  p.labels.resize(kept), p.scores.resize(kept * static_cast<size_t>(p.outputs));
}

}  // namespace

Predicted predictions_of(const Evaluation& evaluation, const Truth& truth, double threshold) {
  std::string raw = truth.output.empty() ? "output" : truth.output.substr(0, truth.output.size() - 1);
  for (const std::string& name : {truth.output + "probability", truth.output + "value", raw}) {
    auto found = evaluation.outputs.find(name);
    if (found == evaluation.outputs.end()) continue;
    Predicted predicted;
    const Shape& shape = found->second.type.shape;
    // Labels of one sample may have axes of their own (a class per pixel or per token): each is a row.
    int64_t rank = std::ssize(shape), axis = truth.axis == Truth::kLastAxis ? rank - 1 : truth.axis;
    bool classes = !truth.labels.empty() && axis >= 0 && axis < rank;
    predicted.outputs = truth.labels.empty() ? found->second.type.elements() : classes ? shape[static_cast<size_t>(axis)] : 1;
    predicted.scores = classes ? axis_last(found->second.values, shape, axis) : found->second.values;
    predicted.labels = truth.labels;
    predicted.targets = truth.targets;
    predicted.threshold = threshold;
    leave_out_ignored(predicted);
    return predicted;
  }
  return {};
}

MetricValues measure(const Evaluation& evaluation, const std::vector<Truth>& truths, const TrainSettings& settings) {
  MetricValues out = evaluation.losses;
  if (truths.empty()) return out;
  std::vector<MetricSettings> unused = settings.metrics;
  for (const Truth& truth : truths) {
    std::vector<MetricSettings> fitting;
    for (const MetricSettings& m : settings.metrics)
      if (truths.size() == 1 || is_class_metric(m.name) == !truth.labels.empty()) fitting.push_back(m);
    std::erase_if(unused, [&](const MetricSettings& m) {
      return std::any_of(fitting.begin(), fitting.end(), [&](const MetricSettings& f) { return f.key == m.key; });
    });
    if (fitting.empty()) continue;
    for (const auto& [key, value] : evaluate_metrics(fitting, predictions_of(evaluation, truth, settings.threshold)))
      out.emplace_back(truth.metric + key, value);
  }
  if (!unused.empty()) throw RuntimeError("the metric '" + unused[0].name + "' fits none of the model's outputs");
  return out;
}

}  // namespace mlc
