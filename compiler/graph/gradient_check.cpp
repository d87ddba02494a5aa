#include "compiler/graph/gradient_check.h"

#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

namespace mlc {
namespace {

constexpr int64_t kElements = 8;
constexpr int kDirections = 2;
constexpr double kStep = 1e-5, kSmallStep = 1e-7;

// A direction: element and amount; the greatest amount is at most 1.
using Direction = std::vector<std::pair<size_t, double>>;

class Checker {
public:
  Checker(const Graph& graph, const GradientProbe& probe, const StepInput<double>& input) : graph_(graph), probe_(probe), frame_{graph, input} {
    std::vector<ValueId> roots = probe.gradient;
    roots.push_back(probe.result);
    std::vector<bool> needed = ancestors(roots);
    base_.resize(graph.ops.size());
    for (ValueId id = 0; id < graph.ops.size(); ++id)
      if (needed[id]) base_[id] = evaluate(id, [&](ValueId v) { return &base_[v]; });
    forward_ = ancestors({probe.result});
  }

  /// `enough` ends the probing behind the first one.
  template <class F> GradientDifference check(size_t i, F enough) {
    at_ = probe_.at[i];
    size_t n = base_[at_].data.size();
    GradientDifference out{.elements = static_cast<int64_t>(n)};
    find_downstream();
    if (n == 0 || !forward_[at_]) return out;
    static const Array<double> none;
    const Array<double>& gradient = probe_.gradient[i] == kNoValue ? none : base_[probe_.gradient[i]];
    double size = 0;
    for (double g : gradient.data) size = std::max(size, std::fabs(g));
    for (const Direction& direction : directions(n)) {
      if (out.probes > 0 && enough()) break;
      double given = 0;
      for (const auto& [element, amount] : direction)
        if (!gradient.data.empty()) given += gradient.data[element] * amount;
      probe_direction(direction, given, size, out);
    }
    return out;
  }

private:
  std::vector<bool> ancestors(const std::vector<ValueId>& roots) const {
    std::vector<bool> out(graph_.ops.size(), false);
    for (ValueId root : roots)
      if (root != kNoValue) out[root] = true;
    for (ValueId id = static_cast<ValueId>(graph_.ops.size()); id-- > 0;)
      if (out[id])
        for (ValueId operand : graph_.ops[id].in) out[operand] = true;
    return out;
  }

  template <class F> Array<double> evaluate(ValueId id, F value) const {
    Operands<double> in;
    for (ValueId operand : graph_.ops[id].in) in.push_back(value(operand));
    return evaluate_op(frame_, graph_.ops[id], in);
  }

  void find_downstream() {
    std::vector<bool> moves(graph_.ops.size(), false);
    moves[at_] = true;
    downstream_.clear();
    for (ValueId id = at_ + 1; id <= probe_.result; ++id) {
      const Op& op = graph_.ops[id];
      if (!forward_[id] || op.code == OpCode::stop_gradient) continue;
      moves[id] = std::any_of(op.in.begin(), op.in.end(), [&](ValueId v) { return moves[v]; });
      if (moves[id]) downstream_.push_back(id);
    }
  }

  // The result where the value is moved by `step` along the direction.
  double moved(const Direction& direction, double step) const {
    std::map<ValueId, Array<double>> values;
    Array<double>& x = values[at_] = base_[at_];
    for (const auto& [element, amount] : direction) x.data[element] += step * amount;
    auto value = [&](ValueId v) {
      auto it = values.find(v);
      return it == values.end() ? &base_[v] : &it->second;
    };
    for (ValueId id : downstream_) values[id] = evaluate(id, value);
    return value(probe_.result)->data[0];
  }

  std::vector<Direction> directions(size_t n) {
    std::vector<Direction> out;
    for (int d = 0; d < kDirections && n > kElements; ++d) {
      Direction all;
      for (size_t e = 0; e < n; ++e) all.push_back({e, ((random_() & 1) ? 1.0 : -1.0) / std::sqrt(static_cast<double>(n))});
      out.push_back(std::move(all));
    }
    size_t stride = std::max<size_t>(1, n / kElements);
    for (size_t k = 0; k < std::min<size_t>(n, kElements); ++k) out.push_back({{k * stride + (stride > 1 ? random_() % stride : 0), 1.0}});
    return out;
  }

  void probe_direction(const Direction& direction, double given, double size, GradientDifference& out) {
    double here = base_[probe_.result].data[0];
    // Differences of numbers as great as the result have no more digits than this.
    double floor = std::max({1e-5 * std::fabs(here), 1e-4 * size, 1e-7});
    double up = moved(direction, kStep), down = moved(direction, -kStep);
    double expected = (up - down) / (2 * kStep);
    auto difference = [&](double slope) { return std::fabs(given - slope) / std::max({std::fabs(given), std::fabs(slope), floor}); };
    double found = difference(expected);
    if (!(found <= kGradientTolerance)) {
      // A kink may lie within the step: then a smaller one is right, or the slopes of both sides hold the gradient between them.
      double near = (moved(direction, kSmallStep) - moved(direction, -kSmallStep)) / (2 * kSmallStep);
      double left = (here - down) / kStep, right = (up - here) / kStep, slack = 1e-3 * std::max({std::fabs(left), std::fabs(right), floor});
      bool kink = std::fabs(left - right) > slack && given >= std::min(left, right) - slack && given <= std::max(left, right) + slack;
      if (kink || difference(near) <= 1e-4) found = 0;
    }
    ++out.probes;
    if (std::isnan(found)) found = INFINITY;
    if (found < out.worst || (out.worst > 0 && found == out.worst)) return;
    out.worst = found, out.given = given, out.expected = expected;
    out.element = direction.size() == 1 ? static_cast<int64_t>(direction[0].first) : -1;
    out.off = found > kGradientTolerance;
  }

  const Graph& graph_;
  const GradientProbe& probe_;
  Frame<double> frame_;
  std::vector<Array<double>> base_;
  std::vector<bool> forward_;              // what the result is made of
  ValueId at_ = kNoValue;
  std::vector<ValueId> downstream_;        // of at_, in order
  std::mt19937 random_{7};
};

}  // namespace

std::vector<GradientDifference> check_gradient(const Graph& graph, const GradientProbe& probe, const StepInput<double>& input, double seconds) {
  ensure(probe.at.size() == probe.gradient.size(), "gradient check: one gradient per value");
  auto begin = std::chrono::steady_clock::now();
  Checker checker(graph, probe, input);
  std::vector<GradientDifference> out;
  for (size_t i = 0; i < probe.at.size(); ++i) {
    double share = seconds * static_cast<double>(i + 1) / static_cast<double>(probe.at.size());
    out.push_back(checker.check(i, [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > share; }));
  }
  return out;
}

}  // namespace mlc
