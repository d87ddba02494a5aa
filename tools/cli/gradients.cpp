#include "tools/cli/gradients.h"

#include "compiler/base/text.h"
#include "tools/cli/training.h"

#include <fmt/core.h>

#include <algorithm>
#include <iostream>
#include <random>

namespace mlc {
namespace {

constexpr int64_t kRows = 4, kFewRows = 2;
constexpr int64_t kLarge = 100'000'000;   // numbers that a graph computes; above it fewer rows do
constexpr double kSeconds = 10;           // for losses, and for definitions; large models get fewer probes

int64_t numbers_of(const Graph& graph) {
  int64_t sum = 0;
  for (const Op& op : graph.ops) sum += op.type.elements();
  return sum;
}

class GradientCheck : Training {
public:
  explicit GradientCheck(const Arguments& arguments) : Training(arguments) {}

  bool run() {
    if (!prepare()) return false;
    int64_t batch = std::min({kRows, settings_.batch_size, static_cast<int64_t>(data_.train.size())});
    GradientGraph gradients = model_->gradients(batch);
    if (batch > kFewRows && numbers_of(gradients.graph) > kLarge) gradients = model_->gradients(batch = kFewRows);
    auto losses = std::count_if(gradients.tasks.begin(), gradients.tasks.end(), [](const GradientTask& task) { return task.of_loss; });
    auto definitions = std::ssize(gradients.tasks) - losses;
    StepInput<double> input = step_input(gradients.graph);
    size_t width = 8;
    for (const GradientTask& task : gradients.tasks)
      for (const GradientTask::At& at : task.at) width = std::max(width, title(task, at).size());
    std::cout << fmt::format("{:<{}}  {:>10}  {:>6}  {:>10}\n", "gradient", width, "elements", "probes", "difference");
    for (const GradientTask& task : gradients.tasks) {
      std::vector<GradientDifference> found =
          check_gradient(gradients.graph, task.probe, input, kSeconds / static_cast<double>(task.of_loss ? losses : definitions));
      for (size_t i = 0; i < found.size(); ++i) {
        std::string difference = found[i].probes == 0 ? "with all" : fmt::format("{:.1e}", found[i].worst);
        std::cout << fmt::format("{:<{}}  {:>10}  {:>6}  {:>10}{}\n", title(task, task.at[i]), width, found[i].elements, found[i].probes,
                                 difference, found[i].off ? "  off" : "");
        if (found[i].off) fault(task, task.at[i], found[i]);
        checked_ += 1;
      }
    }
    for (const auto& [name, reason] : gradients.unchecked)
      std::cout << name << ": not checked; the spec does not use it, and on samples of shape [3, 4]: " << reason << "\n";
    if (report(diagnostics_, false)) return false;
    std::cout << fmt::format("{} gradients agree with central differences, {} rows in f64\n", checked_, batch);
    return true;
  }

private:
  std::string title(const GradientTask& task, const GradientTask::At& at) const {
    if (task.of_loss) return task.name + " by " + at.name;
    return fmt::format("{} by {} (line {})", task.name, at.name, task.loc.line);
  }

  // Real rows; weights as training starts from them, moved a little, so that zeros do not sit on kinks.
  StepInput<double> step_input(const Graph& graph) {
    StepInput<double> in;
    std::mt19937 random(7);
    for (size_t t = 0; t < graph.tensors.size(); ++t) {
      const Tensor& tensor = graph.tensors[t];
      auto id = static_cast<TensorId>(t);
      if (tensor.role == Role::input) in.columns[id] = data_.find(tensor.path)->data();
      if (tensor.role != Role::parameter && tensor.role != Role::running) continue;
      std::vector<float> values(static_cast<size_t>(tensor.type.elements()));
      bench_->state().read(bench_->layout().offsets.at(tensor.path), values.data(), tensor.type.bytes());
      Array<double>& array = state_[id] = {tensor.type, {values.begin(), values.end()}};
      if (tensor.role == Role::parameter)
        for (double& v : array.data) v += 0.02 * (static_cast<double>(random()) / 4294967296.0 - 0.5);
    }
    in.rows = data_.train.data();
    in.scalars.assign(graph.scalars.size(), 0);
    in.state = &state_;
    in.seed = settings_.seed;
    return in;
  }

  void fault(const GradientTask& task, const GradientTask::At& at, const GradientDifference& d) {
    if (task.of_loss && diagnostics_.errors()) return;   // a definition is off, which has been said
    std::string what = task.of_loss ? task.name + " by '" + at.name + "'" : "'" + task.name + "' by '" + at.name + "'";
    std::string where = d.element < 0 ? "along all elements" : "at element " + std::to_string(d.element);
    Diagnostic out{.loc = at.loc ? at.loc : task.loc};
    out.text = fmt::format("the gradient of {} is off: {} it is {:.6g}, central differences give {:.6g}", what, where, d.given, d.expected);
    if (!task.of_loss && at.loc) out.notes.push_back({task.loc, "'" + task.name + "' is used here"});
    diagnostics_.report(out);
  }

  std::map<TensorId, Array<double>> state_;
  int checked_ = 0;
};

}  // namespace

bool check_gradients(const Arguments& arguments) { return GradientCheck(arguments).run(); }

}  // namespace mlc
