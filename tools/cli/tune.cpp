#include "tools/cli/tune.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/hash.h"
#include "compiler/base/initializer.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/cpu/object_cache.h"
#include "runtime/store/atomic_file.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

namespace mlc {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kWarmUp = 3;
constexpr int kLeastSteps = 5, kMostSteps = 200;
constexpr double kSecondsEach = 0.1;      // of measuring, for each variant of the step
constexpr double kNoise = 0.97;           // a tiling must take less than this share of the cost model's time

// By contraction: the fastest step of each of its launches, from the first thread's start to the last one's end.
std::map<std::string, double> nanoseconds(const Compiled& c, const LaunchTimes& times, int first_step) {
  std::map<std::pair<int, int>, std::pair<int64_t, int64_t>> spans;   // launch, step
  for (const auto& thread : times.threads)
    for (const LaunchTimes::Span& s : thread) {
      if (s.step < first_step) continue;
      auto [it, fresh] = spans.insert({{s.launch, s.step}, {s.begin, s.end}});
      it->second = {std::min(it->second.first, s.begin), std::max(it->second.second, s.end)};
    }
  std::map<int, int64_t> least;
  for (const auto& [key, span] : spans) {
    auto [it, fresh] = least.insert({key.first, span.second - span.first});
    it->second = std::min(it->second, span.second - span.first);
  }
  std::map<std::string, double> out;
  for (const TiledLaunch& t : c.tiled)
    if (auto it = least.find(t.launch); it != least.end()) out[t.contraction] += static_cast<double>(it->second);
  return out;
}

std::map<std::string, double> measure(const Model& model, const Compiled& c, Device& device, const Columns& columns,
                                      const std::vector<int32_t>& rows) {
  SharedState state(c.program.state_bytes);
  for (const StateTensor& t : model.state()) {
    auto it = c.state.offsets.find(t.tensor.path);
    if (it == c.state.offsets.end()) continue;
    std::vector<char> values(static_cast<size_t>(t.tensor.type.bytes()));
    initialize(t.init, t.tensor.path, 0, t.tensor.type.dtype, t.tensor.type.elements(), values.data());
    state.write(it->second, values.data(), t.tensor.type.bytes());
  }
  std::unique_ptr<Executable> run = device.load(c.program, state);
  Feed feed;
  feed.columns = bind_columns(c.program, columns);
  std::vector<int32_t> order;
  std::vector<float> scalars, results;
  auto steps = [&](int n) {
    feed.steps = n;
    for (size_t i = 0; order.size() < static_cast<size_t>(n) * static_cast<size_t>(c.program.batch); ++i)
      order.push_back(rows[i % rows.size()]);
    scalars.assign(static_cast<size_t>(n) * (kFirstScalar + c.program.scalars.size()), 1e-6f);
    results.assign(static_cast<size_t>(n * c.program.results_per_step), 0);
    feed.rows = order.data(), feed.scalars = scalars.data(), feed.results = results.data();
    auto begin = Clock::now();
    run->run(feed);
    return std::chrono::duration<double>(Clock::now() - begin).count() / n;
  };
  double each = steps(kWarmUp);
  LaunchTimes times;
  feed.times = &times;
  steps(std::clamp(static_cast<int>(kSecondsEach / each), kLeastSteps, kMostSteps));
  return nanoseconds(c, times, 1);
}

std::string tuning_file(const Target& target, int threads) {
  std::string folder = default_cache_folder();
  if (folder.empty()) return "";
  return fmt::format("{}/tuning-{:016x}.json", folder,
                     hash_bytes(fmt::format("{} {} {} {} {}", target.cpu, target.lanes, target.l1, target.l2, threads)));
}

}  // namespace

TuneReport tune(const Model& model, int64_t batch, CompileOptions options, int threads, const Columns& columns,
                const std::vector<int32_t>& rows, Tuning& tuning) {
  auto begin = Clock::now();
  std::unique_ptr<Device> device = make_cpu_device({.threads = threads, .use_cache = false});
  options.target.tuning = nullptr;
  std::map<std::string, std::vector<Tiling>> tilings;
  size_t variants = 0;
  for (const TiledLaunch& t : compile(model.build(GraphKind::train, batch), options).tiled) {
    tilings[t.contraction] = t.tilings;
    variants = std::max(variants, t.tilings.size());
  }
  // In variant i every contraction has its tiling i: as many programs as the longest list, not one for each pair.
  std::map<std::string, std::vector<double>> times;
  for (size_t i = 0; i < variants; ++i) {
    Tuning trial;
    for (const auto& [contraction, list] : tilings) trial[contraction] = list[std::min(i, list.size() - 1)];
    options.target.tuning = &trial;
    std::map<std::string, double> measured = measure(model, compile(model.build(GraphKind::train, batch), options), *device, columns, rows);
    for (const auto& [contraction, list] : tilings)
      if (i < list.size()) times[contraction].push_back(measured[contraction]);
  }
  TuneReport report;
  report.contractions = static_cast<int>(tilings.size());
  for (const auto& [contraction, list] : times) {
    auto best = std::min_element(list.begin(), list.end());
    if (*best > kNoise * list[0]) best = list.begin();
    report.changed += best != list.begin();
    tuning[contraction] = tilings[contraction][static_cast<size_t>(best - list.begin())];
  }
  report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return report;
}

std::string print_tuning(const Tuning& tuning) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (const auto& [contraction, t] : tuning)
    out[contraction] = {{"rows", t.rows}, {"vectors", t.vectors}, {"blocks_outside", t.blocks_outside}};
  return out.dump(1) + "\n";
}

Tuning load_tuning(const Target& target, int threads) {
  Tuning out;
  std::ifstream in(tuning_file(target, threads));
  // A damaged file counts as none: a tiling that does not fit its contraction is not used either.
  nlohmann::json kept = nlohmann::json::parse(in, nullptr, false);
  if (!kept.is_object()) return out;
  for (const auto& [contraction, t] : kept.items())
    if (t.is_object() && t.contains("rows") && t["rows"].is_number_integer() && t.contains("vectors") && t["vectors"].is_number_integer() &&
        t.contains("blocks_outside") && t["blocks_outside"].is_boolean())
      out[contraction] = {t["rows"].get<int>(), t["vectors"].get<int>(), t["blocks_outside"].get<bool>()};
  return out;
}

void store_tuning(const Target& target, int threads, const Tuning& tuning) {
  std::string path = tuning_file(target, threads);
  if (path.empty()) return;
  Tuning all = load_tuning(target, threads);
  for (const auto& [contraction, t] : tuning) all[contraction] = t;
  try {
    fs::create_directories(fs::path(path).parent_path());
    write_file(path, print_tuning(all));
  } catch (const std::exception&) {}
}

}  // namespace mlc
