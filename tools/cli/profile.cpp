// mlc profile: where the time of a training step goes, by kernel and by line of the spec.
#include "compiler/base/text.h"
#include "compiler/plan/cost.h"
#include "tools/cli/limits.h"
#include "tools/cli/step_times.h"
#include "tools/cli/training.h"

#include <boost/program_options/value_semantic.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>

namespace mlc {
namespace {

constexpr int64_t kWarmUp = 10;         // steps before measuring
constexpr int kTraced = 5;          // steps in a trace file
constexpr double kLatency = 2;      // microseconds below which starting and stopping dominate

struct Silent : TrainObserver {
  void on_call(const CallReport&) override {}
  void on_epoch(const EpochReport&) override {}
  void on_last(const TrainCounters&) override {}
  void on_ranked(int64_t, int64_t, const TrainCounters&) override {}
};

constexpr const char* kParts[] = {"data", "forward", "backward", "update"};

struct KernelRow {
  std::string what;
  size_t part = 0;                    // a TimePart
  double us = 0, least_us = 0, flops = 0, bytes = 0;
};

class Profile : Training {
public:
  explicit Profile(const Arguments& arguments) : Training(arguments) {}

  int run() {
    if (!prepare()) return kFault;
    if (bench_->device_name() != "cpu") throw RuntimeError("a profile needs compiled code: device cpu, not " + bench_->device_name());
    batch_ = std::min(static_cast<int64_t>(data_.train.size()), settings_.batch_size);
    int64_t steps = std::max<int64_t>(1, arguments_.integer("steps"));
    settings_.epochs = 0, settings_.steps = steps + kWarmUp;
    settings_.early_stopping.reset();
    settings_.drop_last = settings_.drop_last || static_cast<int64_t>(data_.train.size()) > batch_;
    StepRecorder source(*bench_, batch_, kWarmUp, steps);
    Silent silent;
    TrainJob job = make_job();
    job.programs = &source;
    job.val = {};
    job.observer = &silent;
    train(job);
    compiled_ = source.compiled();
    if (!compiled_) throw RuntimeError("there was no step to measure");
    spans_ = &source.spans();
    limits_ = measure_limits(bench_->threads(), bench_->options().target);
    collect();
    if (arguments_.has("trace")) write_trace(arguments_.text("trace"));
    if (arguments_.flag("json")) std::cout << json().dump() << "\n";
    else print();
    return kDone;
  }

private:
  const Group& group_of(size_t launch) { return compiled_->grouping.groups[static_cast<size_t>(compiled_->plan.steps[launch].group)]; }

  void collect() {
    const Compiled& c = *compiled_;
    times_ = step_times(c, *spans_);
    rows_.resize(c.plan.steps.size());
    for (size_t i = 0; i < rows_.size(); ++i) {
      const Group& g = group_of(i);
      const Op& anchor = c.graph.ops[g.anchor];
      GroupCost cost = group_cost(c.graph, g);
      KernelRow& r = rows_[i];
      r.us = times_.launch[i], r.least_us = times_.least[i];
      r.part = static_cast<size_t>(time_part(c.graph, anchor));
      const std::string& path = c.graph.scopes[static_cast<size_t>(anchor.scope)].path;
      r.what = g.form == Form::update ? fmt::format("update of {} parameters", g.members.size())
                                      : path + (path.empty() ? "" : ".") + std::string(op_info(anchor.code).name);
      if (g.form != Form::update && g.body.size() > 1) r.what += fmt::format(" +{}", g.body.size() - 1);
      r.flops = cost.flops;
      r.bytes = static_cast<double>(cost.read_bytes + cost.written_bytes);
      share_out(c.graph, g, r.us,
                [&](const Op& op, double us) { lines_[{op.loc.file, op.loc.line}][static_cast<size_t>(time_part(c.graph, op))] += us; });
    }
  }

  std::string bound(const KernelRow& r) const {
    if (r.us < kLatency) return "latency";
    double compute = r.flops / (limits_.gflops * 1e3), memory = r.bytes / (limits_.gbytes * 1e3);
    if (memory > r.us) return "cache";
    return compute >= memory ? "compute" : "memory";
  }
  double of_limit(const KernelRow& r) const {
    return r.us > 0 ? std::max(r.flops / (limits_.gflops * 1e3), r.bytes / (limits_.gbytes * 1e3)) / r.us : 0;
  }

  std::vector<size_t> by_time() const {
    std::vector<size_t> order(rows_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return rows_[a].us > rows_[b].us; });
    return order;
  }

  static std::string trimmed(std::string_view line) {
    size_t begin = line.find_first_not_of(' '), end = line.find('#');
    if (begin == std::string_view::npos) return "";
    std::string text(line.substr(begin, end == std::string_view::npos ? end : end - begin));
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text.size() > 42 ? text.substr(0, 39) + "..." : text;
  }

  void print() {
    std::string text = fmt::format("step    {:.1f} us, mean of {} steps of batch {}, {} thread{}, {} lanes\n", times_.step,
                                   static_cast<int64_t>(times_.steps), batch_, bench_->threads(), bench_->threads() == 1 ? "" : "s",
                                   bench_->options().target.lanes);
    text += fmt::format("limits  {:.0f} GFLOP/s of multiply-adds, {:.1f} GB/s of copies through memory, measured now\n\n", limits_.gflops,
                        limits_.gbytes);
    text += fmt::format("{:<40} {:<8} {:>9} {:>6} {:>8} {:>7} {:>6}  {}\n", "kernel", "part", "us", "share", "GFLOP/s", "GB/s", "limit",
                        "bound by");
    double rest = 0;
    int small = 0;
    for (size_t i : by_time()) {
      const KernelRow& r = rows_[i];
      if (r.us < 0.005 * times_.step) {
        rest += r.us, ++small;
        continue;
      }
      std::string what = r.what.size() > 40 ? "..." + r.what.substr(r.what.size() - 37) : r.what;
      text += fmt::format("{:<40} {:<8} {:>9.1f} {:>5.1f}% {:>8.1f} {:>7.1f} {:>5.0f}%  {}\n", what, kParts[r.part], r.us,
                          100 * r.us / times_.step, r.flops / r.us * 1e-3, r.bytes / r.us * 1e-3, 100 * of_limit(r), bound(r));
    }
    if (small)
      text += fmt::format("{:<40} {:<8} {:>9.1f} {:>5.1f}%\n", fmt::format("{} kernels below 0.5 %", small), "", rest,
                          100 * rest / times_.step);
    text += fmt::format("{:<40} {:<8} {:>9.1f} {:>5.1f}%\n\n", "barriers and waiting", "", times_.step - times_.busy,
                        100 * (times_.step - times_.busy) / times_.step);
    text += fmt::format("{:<52} {:>9} {:>9} {:>9} {:>6}\n", "line of the spec", "forward", "backward", "update", "share");
    for (const auto& [place, us] : lines_) {
      double sum = us[0] + us[1] + us[2] + us[3];
      text += fmt::format("{:<52} {:>9.1f} {:>9.1f} {:>9.1f} {:>5.1f}%\n", line_name(place.first, place.second), us[0] + us[1], us[2],
                          us[3], 100 * sum / times_.step);
    }
    std::cout << text;
  }

  std::string line_name(uint32_t file, uint32_t line) const {
    if (file == 0) return "(no line)";
    return fmt::format("{:>5}  {}", line, trimmed(sources_.line(file, line)));
  }

  nlohmann::ordered_json json() {
    nlohmann::ordered_json out = {{"event", "profile"},
                                  {"spec", path_},
                                  {"batch", batch_},
                                  {"threads", bench_->threads()},
                                  {"lanes", bench_->options().target.lanes},
                                  {"steps", static_cast<int64_t>(times_.steps)},
                                  {"step_us", times_.step},
                                  {"waiting_us", times_.step - times_.busy},
                                  {"limit_gflops", limits_.gflops},
                                  {"limit_gbytes", limits_.gbytes}};
    for (size_t i : by_time()) {
      const KernelRow& r = rows_[i];
      out["kernels"].push_back({{"kernel", r.what},
                                {"launch", i},
                                {"form", form_name(group_of(i).form)},
                                {"part", kParts[r.part]},
                                {"us", r.us},
                                {"least_us", r.least_us},
                                {"share", r.us / times_.step},
                                {"flops", r.flops},
                                {"bytes", r.bytes},
                                {"of_limit", of_limit(r)},
                                {"bound", bound(r)}});
    }
    for (const auto& [place, us] : lines_)
      out["lines"].push_back({{"file", place.first ? sources_.name(place.first) : ""},
                              {"line", place.second},
                              {"text", place.first ? trimmed(sources_.line(place.first, place.second)) : ""},
                              {"forward_us", us[0] + us[1]},
                              {"backward_us", us[2]},
                              {"update_us", us[3]}});
    return out;
  }

  // The Trace Event Format of chrome://tracing and Perfetto: complete events, one row a thread, times in microseconds.
  void write_trace(const std::string& path) {
    nlohmann::ordered_json events = nlohmann::ordered_json::array();
    int64_t start = INT64_MAX;
    for (const auto& thread : *spans_)
      for (const LaunchTimes::Span& s : thread) start = std::min(start, s.begin);
    for (size_t t = 0; t < spans_->size(); ++t)
      for (const LaunchTimes::Span& s : (*spans_)[t]) {
        if (s.step >= kTraced) continue;
        const KernelRow& r = rows_[static_cast<size_t>(s.launch)];
        events.push_back({{"name", r.what},
                          {"cat", kParts[r.part]},
                          {"ph", "X"},
                          {"ts", 1e-3 * static_cast<double>(s.begin - start)},
                          {"dur", 1e-3 * static_cast<double>(s.end - s.begin)},
                          {"pid", 1},
                          {"tid", t},
                          {"args", {{"step", s.step}, {"launch", s.launch}}}});
      }
    std::ofstream out(path);
    out << nlohmann::ordered_json{{"traceEvents", events}, {"displayTimeUnit", "ns"}}.dump() << "\n";
    if (!out) throw RuntimeError("cannot write " + path);
  }

  const std::vector<std::vector<LaunchTimes::Span>>* spans_ = nullptr;
  int64_t batch_ = 0;
  const Compiled* compiled_ = nullptr;
  StepTimes times_;
  MachineLimits limits_;
  std::vector<KernelRow> rows_;                                            // by launch
  std::map<std::pair<uint32_t, uint32_t>, std::array<double, 4>> lines_;   // file, line -> microseconds by part
};

}  // namespace

int profile_command(int argc, char** argv) {
  Arguments a("profile",
              "Measures the kernels of a training step: time, share, FLOP/s, bytes/s beside this machine's limits, and the time of each "
              "line of the spec. Nothing is written but --trace.",
              {"SPEC"});
  namespace po = boost::program_options;
  a.add()("steps", po::value<int64_t>()->default_value(200)->value_name("N"), "steps to measure, after 10 that are not");
  a.add()("json", po::bool_switch(), "one JSON object on standard output");
  a.add()("trace", po::value<std::string>()->value_name("FILE"),
          "also write the first 5 steps as a Chrome trace (chrome://tracing, Perfetto)");
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  return Profile(a).run();
}

}  // namespace mlc
