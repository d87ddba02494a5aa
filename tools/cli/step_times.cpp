#include "tools/cli/step_times.h"

#include "compiler/base/text.h"
#include "compiler/plan/axes.h"
#include "compiler/plan/cost.h"
#include "tools/cli/table.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>

namespace mlc {

class StepRecorder::Recorded : public Executable {
public:
  Recorded(Executable& inner, StepRecorder& recorder) : inner_(inner), recorder_(recorder) {}

  Executable& inner() { return inner_; }
  int run(const Feed& feed) override {
    StepRecorder& r = recorder_;
    if (r.steps_ >= r.skip_ + r.most_) return inner_.run(feed);
    Feed timed = feed;
    LaunchTimes times;
    timed.times = &times;
    int done = inner_.run(timed);
    r.spans_.resize(std::max(r.spans_.size(), times.threads.size()));
    for (size_t t = 0; t < times.threads.size(); ++t)
      for (LaunchTimes::Span& s : times.threads[t]) {
        s.step += static_cast<int>(r.steps_ - r.skip_);
        if (s.step >= 0 && s.step < r.most_) r.spans_[t].push_back(s);
      }
    r.steps_ += done;
    return done;
  }

private:
  Executable& inner_;
  StepRecorder& recorder_;
};

StepRecorder::StepRecorder(Workbench& bench, int64_t batch, int64_t skip, int64_t most)
    : bench_(bench), batch_(batch), skip_(skip), most_(most) {}
StepRecorder::~StepRecorder() = default;

StepProgram StepRecorder::get(const ProgramKey& key) {
  StepProgram p = bench_.get(key);
  if (!key_ && key.kind == StepKind::train && key.batch == batch_ && !key.gather) {
    key_ = key;
    recorded_ = std::make_unique<Recorded>(*p.executable, *this);
  }
  // Several keys may name one program.
  return {p.program, recorded_ && p.executable == &recorded_->inner() ? recorded_.get() : p.executable};
}

const Compiled* StepRecorder::compiled() { return key_ && !spans_.empty() ? &bench_.compiled(*key_) : nullptr; }

StepTimes step_times(const Compiled& c, const std::vector<std::vector<LaunchTimes::Span>>& spans) {
  StepTimes out;
  out.launch.resize(c.plan.steps.size());
  out.least.resize(c.plan.steps.size());
  std::map<int, std::pair<int64_t, int64_t>> extent;
  for (const auto& thread : spans)
    for (const LaunchTimes::Span& s : thread) {
      auto launch = static_cast<size_t>(s.launch);
      double us = 1e-3 * static_cast<double>(s.end - s.begin);
      out.launch[launch] += us / (c.program.launches[launch].parallel ? static_cast<double>(spans.size()) : 1);
      out.least[launch] = out.least[launch] == 0 ? us : std::min(out.least[launch], us);
      auto [it, fresh] = extent.insert({s.step, {s.begin, s.end}});
      it->second = {std::min(it->second.first, s.begin), std::max(it->second.second, s.end)};
    }
  out.steps = static_cast<double>(std::max<size_t>(1, extent.size()));
  for (const auto& [step, span] : extent) out.step += 1e-3 * static_cast<double>(span.second - span.first) / out.steps;
  for (double& us : out.launch) out.busy += us /= out.steps;
  return out;
}

TimePart time_part(const Graph& graph, const Op& op) {
  if (starts_with(graph.scopes[static_cast<size_t>(op.scope)].path, "data.")) return TimePart::data;
  return op.part == StepPart::forward ? TimePart::forward : op.part == StepPart::backward ? TimePart::backward : TimePart::update;
}

void share_out(const Graph& graph, const Group& group, double us, const std::function<void(const Op&, double)>& give) {
  auto weight = [&](ValueId v) {
    const Op& op = graph.ops[v];
    if (op.code == OpCode::contract) return op_flops(graph, v) / 32;
    return static_cast<double>(is_reducing(op.code) ? graph.type(op.in[0]).elements() : op.type.elements()) *
           (is_expensive(op.code) ? 4 : 1) / 8;
  };
  double total = 0;
  for (ValueId v : group.body) total += weight(v);
  for (ValueId v : group.body) give(graph.ops[v], us * weight(v) / total);
}

std::string layer_times(const Compiled& c, const StepTimes& times, const std::vector<LayerRow>& layers) {
  // The layer that a scope lies in, else where it begins.
  std::map<std::string, size_t> order;
  for (size_t i = 0; i < layers.size(); ++i) order[layers[i].path] = i;
  auto name_of = [&](const Op& op) {
    const std::string& scope = c.graph.scopes[static_cast<size_t>(op.scope)].path;
    for (std::string path = scope; !path.empty(); path.resize(path.find('.') == std::string::npos ? 0 : path.rfind('.')))
      if (order.count(path)) return path;
    if (time_part(c.graph, op) == TimePart::data) return scope;
    return scope.empty() ? std::string("-") : scope.substr(0, scope.find('.'));
  };
  std::map<std::string, std::array<double, 4>> sums;
  for (size_t i = 0; i < times.launch.size(); ++i)
    share_out(c.graph, c.grouping.groups[static_cast<size_t>(c.plan.steps[i].group)], times.launch[i], [&](const Op& op, double us) {
      TimePart part = time_part(c.graph, op);
      sums[part == TimePart::update ? "update" : name_of(op)][static_cast<size_t>(part)] += us;
    });
  std::vector<std::pair<std::string, std::array<double, 4>>> rows(sums.begin(), sums.end());
  auto rank = [&](const auto& row) {
    double data = row.second[static_cast<size_t>(TimePart::data)];
    auto it = order.find(row.first);
    return data > 0 ? 0 : it != order.end() ? it->second + 1 : order.size() + (row.first == "update" ? 2 : 1);
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  std::vector<std::vector<std::string>> table = {{"layer", "op", "forward us", "backward us", "us", "share %"}};
  auto cell = [](double us) { return us > 0 ? fmt::format("{:.1f}", us) : std::string(); };
  auto share = [&](double us) { return fmt::format("{:.1f}", 100 * us / times.step); };
  for (const auto& [path, us] : rows) {
    double before = us[0] + us[1], sum = before + us[2] + us[3];
    if (sum < 5e-4 * times.step) continue;
    table.push_back({path, order.count(path) ? layers[order.at(path)].op : "", cell(before), cell(us[2]), cell(sum), share(sum)});
  }
  table.push_back({"waiting", "", "", "", cell(times.step - times.busy), share(times.step - times.busy)});
  return fmt::format("time by layer: {:.1f} us a step, mean of {} steps\n", times.step, static_cast<int64_t>(times.steps)) +
         format_table(table);
}

}  // namespace mlc
