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

// A value of the graph and where it moves.
struct Move {
  ValueId at;
  Direction direction;
};

class Checker {
public:
  Checker(const Graph& graph, const GradientProbe& probe, const StepInput<double>& input)
      : graph_(graph), probe_(probe), frame_{graph, input} {
    std::vector<ValueId> roots = probe.gradient;
    roots.push_back(probe.result);
    std::vector<bool> needed = ancestors(roots);
    base_.resize(graph.ops.size());
    for (ValueId id = 0; id < graph.ops.size(); ++id)
      if (needed[id]) base_[id] = evaluate(id, [&](ValueId v) { return &base_[v]; });
    forward_ = ancestors({probe.result});
  }

  /// All values along one direction.
  bool together() {
    std::vector<Move> moves;
    double given = 0, size = 0, most = 0;
    std::vector<double> scales;
    for (size_t i = 0; i < probe_.at.size(); ++i) {
      double norm = 0;
      for (double g : gradient(i).data) norm += g * g, size = std::max(size, std::fabs(g));
      scales.push_back(1 / std::max(std::sqrt(norm), 1e-12));
      most = std::max(most, scales.back());
    }
    for (size_t i = 0; i < probe_.at.size(); ++i) {
      size_t n = base_[probe_.at[i]].data.size();
      if (n == 0 || !forward_[probe_.at[i]]) continue;
      // Values of great and of small gradients count alike, within bounds.
      Direction direction = along_all(n, std::max(scales[i] / most, 1e-3));
      given += slope(i, direction);
      moves.push_back({probe_.at[i], std::move(direction)});
    }
    GradientDifference out;
    if (moves.empty()) return true;
    find_downstream(moves);
    probe_moves(moves, given, size, out);
    return !out.off;
  }

  /// `enough` ends the probing.
  template <class F> GradientDifference check(size_t i, F enough) {
    ValueId at = probe_.at[i];
    size_t n = base_[at].data.size();
    GradientDifference out{.elements = static_cast<int64_t>(n)};
    if (n == 0 || !forward_[at]) return out;
    find_downstream({{at, {}}});
    double size = 0;
    for (double g : gradient(i).data) size = std::max(size, std::fabs(g));
    for (Direction& direction : directions(n)) {
      if (enough(out.probes)) break;
      double given = slope(i, direction);
      probe_moves({{at, std::move(direction)}}, given, size, out);
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

  const Array<double>& gradient(size_t i) const {
    static const Array<double> none;
    return probe_.gradient[i] == kNoValue ? none : base_[probe_.gradient[i]];
  }

  double slope(size_t i, const Direction& direction) const {
    double given = 0;
    for (const auto& [element, amount] : direction)
      if (!gradient(i).data.empty()) given += gradient(i).data[element] * amount;
    return given;
  }

  void find_downstream(const std::vector<Move>& from) {
    std::vector<bool> moves(graph_.ops.size(), false);
    ValueId first = probe_.result;
    for (const Move& move : from) moves[move.at] = true, first = std::min(first, move.at);
    downstream_.clear();
    for (ValueId id = first; id <= probe_.result; ++id) {
      const Op& op = graph_.ops[id];
      if (!forward_[id] || op.code == OpCode::stop_gradient) continue;
      if (std::none_of(op.in.begin(), op.in.end(), [&](ValueId v) { return moves[v]; })) continue;
      moves[id] = true;
      downstream_.push_back(id);
    }
  }

  // The result where the values are moved by `step` along their directions.
  double moved(const std::vector<Move>& moves, double step) const {
    std::map<ValueId, Array<double>> values;
    auto shift = [&](const Move& move) {
      for (const auto& [element, amount] : move.direction) values[move.at].data[element] += step * amount;
    };
    for (const Move& move : moves) {
      values[move.at] = base_[move.at];
      shift(move);
    }
    auto value = [&](ValueId v) {
      auto it = values.find(v);
      return it == values.end() ? &base_[v] : &it->second;
    };
    for (ValueId id : downstream_) {
      values[id] = evaluate(id, value);
      for (const Move& move : moves)
        if (move.at == id) shift(move);   // it depends on another one that moves
    }
    return value(probe_.result)->data[0];
  }

  Direction along_all(size_t n, double scale) {
    Direction out;
    for (size_t e = 0; e < n; ++e) out.push_back({e, ((random_() & 1) ? scale : -scale) / std::sqrt(static_cast<double>(n))});
    return out;
  }

  std::vector<Direction> directions(size_t n) {
    std::vector<Direction> out;
    for (int d = 0; d < kDirections && n > kElements; ++d) out.push_back(along_all(n, 1));
    size_t stride = std::max<size_t>(1, n / kElements);
    for (size_t k = 0; k < std::min<size_t>(n, kElements); ++k) out.push_back({{k * stride + (stride > 1 ? random_() % stride : 0), 1.0}});
    return out;
  }

  void probe_moves(const std::vector<Move>& moves, double given, double size, GradientDifference& out) {
    double here = base_[probe_.result].data[0];
    // Differences of numbers as great as the result have no more digits than this.
    double floor = std::max({1e-5 * std::fabs(here), 1e-4 * size, 1e-7});
    double up = moved(moves, kStep), down = moved(moves, -kStep);
    double expected = (up - down) / (2 * kStep);
    auto difference = [&](double slope) { return std::fabs(given - slope) / std::max({std::fabs(given), std::fabs(slope), floor}); };
    double found = difference(expected);
    if (!(found <= kGradientTolerance)) {
      // A kink may lie within the step: then a smaller one is right, or the slopes of both sides hold the gradient between them.
      double near = (moved(moves, kSmallStep) - moved(moves, -kSmallStep)) / (2 * kSmallStep);
      double left = (here - down) / kStep, right = (up - here) / kStep, slack = 1e-3 * std::max({std::fabs(left), std::fabs(right), floor});
      bool kink = std::fabs(left - right) > slack && given >= std::min(left, right) - slack && given <= std::max(left, right) + slack;
      if (kink || difference(near) <= 1e-4) found = 0;
    }
    ++out.probes;
    if (std::isnan(found)) found = INFINITY;
    if (found < out.worst || (out.worst > 0 && found == out.worst)) return;
    out.worst = found, out.given = given, out.expected = expected;
    out.element = moves.size() == 1 && moves[0].direction.size() == 1 ? static_cast<int64_t>(moves[0].direction[0].first) : -1;
    out.off = found > kGradientTolerance;
  }

  const Graph& graph_;
  const GradientProbe& probe_;
  Frame<double> frame_;
  std::vector<Array<double>> base_;
  std::vector<bool> forward_;              // what the result is made of
  std::vector<ValueId> downstream_;        // of what moves, in order
  std::mt19937 random_{7};
};

}  // namespace

std::vector<GradientDifference> check_gradient(const Graph& graph, const GradientProbe& probe, const StepInput<double>& input,
                                               double seconds) {
  ensure(probe.at.size() == probe.gradient.size(), "gradient check: one gradient per value");
  auto begin = std::chrono::steady_clock::now();
  Checker checker(graph, probe, input);
  std::vector<GradientDifference> out;
  int least = checker.together() ? 0 : 1;
  for (size_t i = 0; i < probe.at.size(); ++i) {
    double share = seconds * static_cast<double>(i + 1) / static_cast<double>(probe.at.size());
    out.push_back(checker.check(i, [&](int probes) {
      return probes >= least && std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > share;
    }));
  }
  return out;
}

}  // namespace mlc
