#include "tools/cli/weights.h"

#include "compiler/base/text.h"
#include "compiler/graph/graph.h"
#include "runtime/store/safetensors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>

namespace mlc {

namespace fs = std::filesystem;

namespace {

using Entries = std::map<std::string, const SafetensorsFile::Entry*>;

constexpr std::array kBesideWeights = {"optimizer.", "ema.", "train.", "data."};

// "fc.*" -> "head.*": what the star stands for is kept. Nothing where the pattern does not match.
std::optional<std::string> renamed(const std::string& name, const std::string& from, const std::string& to) {
  size_t star = from.find('*');
  if (star == std::string::npos) return name == from ? std::optional(to) : std::nullopt;
  if (!glob_match(from, name)) return std::nullopt;
  return replace_all(to, "*", name.substr(star, name.size() - (from.size() - 1)));
}

// The file's tensors by the paths that the rule's `rename` gives them.
Entries entries_by_path(const SafetensorsFile& file, const LoadRule& rule) {
  std::vector<std::string> idle;   // patterns that no name has matched
  for (const auto& [from, to] : rule.rename) {
    auto stars = std::count(from.begin(), from.end(), '*');
    if (stars > 1 || std::count(to.begin(), to.end(), '*') > stars)
      throw SpecError(rule.loc, "'" + from + "' of rename: one star at most, as in {\"fc.*\": \"head.*\"}");
    idle.push_back(from);
  }
  Entries by_path;
  for (const auto& entry : file.entries()) {
    std::string path = entry.name;
    for (const auto& [from, to] : rule.rename)
      if (std::optional<std::string> name = renamed(entry.name, from, to)) {
        path = *name;
        std::erase(idle, from);
        break;
      }
    by_path[path] = &entry;
  }
  if (idle.empty()) return by_path;
  std::vector<std::string> names;   // "fd.*" is most like "fc.*"
  for (const auto& entry : file.entries()) names.insert(names.end(), {entry.name, entry.name.substr(0, entry.name.find('.')) + ".*"});
  throw SpecError(misnamed(rule.loc, "rename: '" + idle[0] + "' matches no tensor of " + rule.file, nearest(idle[0], names)));
}

}  // namespace

void load_weights(const Model& model, Workbench& bench, const std::string& folder, std::vector<std::string>& notes) {
  for (const LoadRule& rule : model.loads()) {
    std::string path = fs::path(rule.file).is_absolute() ? rule.file : (fs::path(folder) / rule.file).string();
    if (!fs::is_regular_file(path)) throw SpecError(rule.loc, "no such file: '" + path + "'");
    SafetensorsFile file(path);
    const Entries by_path = entries_by_path(file, rule);
    size_t used = 0;
    for (const StateTensor& t : model.state()) {
      const std::string& p = t.tensor.path;
      auto place = bench.layout().offsets.find(p);
      if (!std::count(rule.paths.begin(), rule.paths.end(), p) || place == bench.layout().offsets.end()) continue;
      auto it = by_path.find(p);
      if (it == by_path.end()) {
        if (t.tensor.role != Role::parameter) continue;   // running state may start afresh
        std::vector<std::string> names;
        for (const auto& [name, entry] : by_path) names.push_back(name);
        std::string near = nearest(p, names);
        throw SpecError(rule.loc, rule.file + " has no tensor '" + p + "'" + (near.empty() ? "" : "; the nearest is '" + near + "'"));
      }
      ++used;
      HostTensor tensor = file.read(*it->second);
      if (tensor.type.shape != t.tensor.type.shape || tensor.type.dtype != t.tensor.type.dtype)
        throw SpecError(rule.loc, "'" + p + "' is " + format_type(tensor.type) + " in " + rule.file + ", but " +
                                      format_type(t.tensor.type) + " in the model");
      bench.state().write(place->second, tensor.data.data(), tensor.type.bytes());
    }
    // What a run keeps beside its weights is no loss.
    size_t weights = 0;
    for (const auto& entry : file.entries())
      weights += std::none_of(kBesideWeights.begin(), kBesideWeights.end(),
                              [&, &name = entry.name](const char* prefix) { return starts_with(name, prefix); });
    if (used < weights) notes.push_back(rule.file + ": " + std::to_string(weights - used) + " tensors were not used");
  }
}

void begin_averages(const Model& model, Workbench& bench) {
  const auto& offsets = bench.layout().offsets;
  for (const StateTensor& t : model.state()) {
    auto average = offsets.find("ema." + t.tensor.path);
    if (average == offsets.end()) continue;
    bench.state().write(average->second, bench.state().data() + offsets.at(t.tensor.path), t.tensor.type.bytes());
  }
}

void fit_transforms(Model& model, Workbench& bench, const Dataset& data) {
  constexpr int64_t kRows = 512;
  while (const Model::Fit* fit = model.next_fit()) {
    std::vector<double> sum, squares;
    const auto& rows = data.train;
    // Two passes: means first, then deviations from them.
    for (int pass = 0; pass < 2; ++pass)
      for (size_t at = 0; at < rows.size();) {
        auto n = static_cast<int64_t>(std::min<size_t>(kRows, rows.size() - at));
        Graph graph = model.build(GraphKind::fit, n);
        simplify(graph);
        StepInput<double> in;
        std::map<TensorId, Array<double>> state;
        for (size_t t = 0; t < graph.tensors.size(); ++t) {
          const Tensor& tensor = graph.tensors[t];
          if (tensor.role == Role::input) in.columns[static_cast<TensorId>(t)] = data.find(tensor.path)->data();
          if (tensor.role != Role::running) continue;
          std::vector<float> values(static_cast<size_t>(tensor.type.elements()));
          bench.state().read(bench.layout().offsets.at(tensor.path), values.data(), tensor.type.bytes());
          state[static_cast<TensorId>(t)] = {tensor.type, {values.begin(), values.end()}};
        }
        in.rows = rows.data() + at;
        in.state = &state;
        const std::vector<double> x = interpret(graph, in).begin()->second.data;
        size_t features = x.size() / static_cast<size_t>(n);
        sum.resize(features), squares.resize(features);
        for (size_t i = 0; i < x.size(); ++i) {
          if (pass == 0) {
            sum[i % features] += x[i];
          } else {
            double d = x[i] - sum[i % features] / static_cast<double>(rows.size());
            squares[i % features] += d * d;
          }
        }
        at += static_cast<size_t>(n);
      }
    std::vector<float> mean, deviation;
    for (size_t f = 0; f < sum.size(); ++f) {
      mean.push_back(static_cast<float>(sum[f] / static_cast<double>(rows.size())));
      double s = std::sqrt(squares[f] / static_cast<double>(rows.size()));
      deviation.push_back(s > 0 ? static_cast<float>(s) : 1.0f);
    }
    bench.state().write(bench.layout().offsets.at(fit->mean_path), mean.data(), static_cast<int64_t>(mean.size() * 4));
    bench.state().write(bench.layout().offsets.at(fit->std_path), deviation.data(), static_cast<int64_t>(deviation.size() * 4));
    model.fitted();
  }
}

void load_checkpoint(const std::string& path, const Model& model, Workbench& bench) {
  SafetensorsFile file(path);
  for (const StateTensor& t : model.state()) {
    auto place = bench.layout().offsets.find(t.tensor.path);
    if (place == bench.layout().offsets.end()) continue;
    const SafetensorsFile::Entry* entry = file.find(t.tensor.path);
    // A parameter that was frozen to the end has no average: it is its own.
    if (!entry && starts_with(t.tensor.path, "ema.")) entry = file.find(t.tensor.path.substr(4));
    if (!entry) throw RuntimeError(path + ": the checkpoint has no '" + t.tensor.path + "'");
    HostTensor tensor = file.read(*entry);
    if (tensor.type != t.tensor.type)
      throw RuntimeError(path + ": '" + t.tensor.path + "' is " + format_type(tensor.type) + ", the model needs " +
                         format_type(t.tensor.type));
    bench.state().write(place->second, tensor.data.data(), tensor.type.bytes());
  }
}

}  // namespace mlc
