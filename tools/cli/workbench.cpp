#include "tools/cli/workbench.h"

#include "compiler/base/text.h"
#include "compiler/graph/graph.h"
#include "compiler/spec/yaml.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/cpu/jit.h"
#include "runtime/store/safetensors.h"
#include "runtime/store/schema_file.h"
#include "runtime/train/classification.h"
#include "tools/cli/tune.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace mlc {

namespace fs = std::filesystem;

std::string choose_device(const Node& spec) {
  const Node* n = spec.find("device");
  std::string name = n ? n->text : "auto";
  if (name == "cuda" || name == "cuda-null") throw RuntimeError("device '" + name + "' is not available in this version; use cpu");
  bool supported = detect_cpu().supported();
  if (name == "auto") return supported ? "cpu" : "reference";
  if (name == "cpu" && !supported) throw RuntimeError("this CPU has neither AVX2 with FMA nor NEON: use --device reference");
  return name;
}

std::vector<std::string> disabled_passes(const Arguments& arguments) {
  std::vector<std::string> disabled = arguments.list("disable-pass");
  const std::vector<std::string>&all = pass_names(), &optional = optional_passes();
  for (const std::string& pass : disabled) {
    if (std::count(optional.begin(), optional.end(), pass)) continue;
    bool needed = std::count(all.begin(), all.end(), pass);
    throw UsageError((needed ? "the pass '" + pass + "' cannot be left out" : "there is no pass '" + pass + "'") +
                     "; --disable-pass takes " + join(optional, ", ") + "\n");
  }
  if (arguments.flag("no-fusion")) disabled.push_back("fuse");
  return disabled;
}

WorkbenchOptions workbench_options(const Arguments& arguments) {
  WorkbenchOptions out;
  out.lanes = static_cast<int>(arguments.integer("lanes"));
  if (out.lanes != 0 && out.lanes != 4 && out.lanes != 8 && out.lanes != 16) throw UsageError("--lanes is 4, 8 or 16\n");
  out.disabled = disabled_passes(arguments);
  out.cache = !arguments.flag("no-cache");
  return out;
}

Workbench::Workbench(const Node& spec, const WorkbenchOptions& options, const Model& model)
    : model_(model), device_(choose_device(spec)), cache_(options.cache) {
  const Node *train = spec.find("train"), *size = train ? train->find("batch_size") : nullptr;
  batch_place_ = size && size->loc ? size->loc : train ? train->loc : spec.loc;
  CpuInfo cpu = detect_cpu();
  options_.target.lanes = options.lanes ? options.lanes : cpu.vector_lanes;
  options_.target.registers = options_.target.lanes == 8 ? 16 : 32;
  if (cpu.l1) options_.target.l1 = cpu.l1;
  if (cpu.l2) options_.target.l2 = cpu.l2;
  options_.target.cpu = cpu.name;
  options_.disabled = options.disabled;
  threads_ = cpu.cores;
  if (const Node* n = spec.find("threads"); n && n->text != "all") threads_ = static_cast<int>(n->number());
  if (device_ == "reference") threads_ = 1;
  if (options.tuned && options.cache && device_ == "cpu") tuning_ = load_tuning(options_.target, threads_);
  options_.target.tuning = &tuning_;
}

void Workbench::set_tuning(Tuning tuning) {
  tuning_ = std::move(tuning);
  entries_.clear();
}

Workbench::~Workbench() = default;

bool Workbench::fits(const Workbench& other) const {
  return device_ == other.device_ && threads_ == other.threads_ && options_.disabled == other.options_.disabled;
}

bool Workbench::has(const std::string& text) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& e) { return e.second.graph == text; });
}

void Workbench::take_over(std::vector<std::unique_ptr<Workbench>>& pool) {
  pool_ = &pool;
  if (!pool.empty() && fits(*pool.back())) tuning_ = pool.back()->tuning_;
}

void Workbench::put_back(std::unique_ptr<Workbench> bench, std::vector<std::unique_ptr<Workbench>>& pool) {
  constexpr size_t kMost = 16;
  // Programs that this training had no use for stay with the state that they are bound to.
  if (bench->former_) {
    for (auto& entries = bench->former_->entries_; !entries.empty();) bench->entries_.insert(entries.extract(entries.begin()));
    bench->former_.reset();
  }
  bench->pool_ = nullptr;
  pool.push_back(std::move(bench));
  auto held = [&] {
    int64_t bytes = 0;
    for (const auto& b : pool) bytes += b->layout_.bytes;
    return bytes;
  };
  while (pool.size() > 1 && (pool.size() > kMost || static_cast<double>(held()) > static_cast<double>(machine_memory()) / 4))
    pool.erase(pool.begin());
}

namespace {

// All that code depends on: formulas of the host are numbers at run time.
std::string graph_text(const Graph& graph) {
  Graph code = graph;
  for (ScalarRule& rule : code.scalars) rule = {};
  for (HostState& state : code.host_state) state = {};
  return print_graph(code);
}

}  // namespace

Workbench::Entry* Workbench::taken_over(const ProgramKey& key, const Graph& graph, const std::string& text) {
  // Once there is a state of its own, programs that are bound to another one do not help.
  if (pool_ && !former_ && !state_) {
    auto found = std::find_if(pool_->rbegin(), pool_->rend(), [&](const auto& bench) { return fits(*bench) && bench->has(text); });
    if (found != pool_->rend()) {
      former_ = std::move(*found);
      pool_->erase(std::next(found).base());
    }
  }
  if (!former_) return nullptr;
  auto it = std::find_if(former_->entries_.begin(), former_->entries_.end(), [&](const auto& e) { return e.second.graph == text; });
  if (it == former_->entries_.end()) return nullptr;
  auto node = former_->entries_.extract(it);
  node.key() = key;
  Entry& e = entries_.insert(std::move(node)).position->second;
  for (std::vector<ScalarRule>* rules : {&e.compiled.graph.scalars, &e.compiled.program.scalars}) *rules = graph.scalars;
  for (std::vector<HostState>* rules : {&e.compiled.graph.host_state, &e.compiled.program.host_state}) *rules = graph.host_state;
  return &e;
}

// A state for layout_: the former one where it fits, since executables are bound to it.
void Workbench::make_room() {
  if (former_ && former_->state_ && former_->layout_.offsets == layout_.offsets && former_->layout_.bytes == layout_.bytes) {
    state_ = std::move(former_->state_);
    cpu_ = std::move(former_->cpu_);
    std::memset(state_->data(), 0, static_cast<size_t>(state_->size()));
    return;
  }
  for (auto& [key, e] : entries_) e.executable.reset();
  former_.reset();
  state_ = std::make_unique<SharedState>(layout_.bytes);
}

const Compiled& Workbench::compiled(const ProgramKey& key) { return entry(key).compiled; }

Workbench::Entry& Workbench::entry(const ProgramKey& key) {
  if (auto it = entries_.find(key); it != entries_.end()) return it->second;
  auto begin = std::chrono::steady_clock::now();
  GraphKind graph = key.kind == StepKind::train ? GraphKind::train : key.kind == StepKind::eval ? GraphKind::eval : GraphKind::predict;
  CompileOptions options = options_;
  if (state_) options.state = &layout_;
  Graph built = model_.build(graph, key.batch, {key.active, key.phase, key.gather});
  std::string text = pool_ ? graph_text(built) : "";
  if (Entry* e = taken_over(key, built, text)) return *e;
  Entry& e = entries_[key];
  e.graph = std::move(text);
  e.compiled = compile(std::move(built), options);
  compile_ms_ += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return e;
}

StepProgram Workbench::get(const ProgramKey& key) {
  Entry& e = entry(key);
  if (!e.executable) {
    auto begin = std::chrono::steady_clock::now();
    if (device_ == "reference") {
      e.executable = make_reference_executable(e.compiled, *state_);
    } else {
      if (!cpu_) {
        CpuOptions options;
        options.threads = threads_;
        options.use_cache = cache_;
        cpu_ = make_cpu_device(options);
      }
      load_jit();   // once a process, and longer than all else where code is cached
      auto load = std::chrono::steady_clock::now();
      e.executable = cpu_->load(e.compiled.program, *state_);
      load_ms_ += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - load).count();
    }
    compile_ms_ += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  }
  return {&e.compiled.program, e.executable.get()};
}

void Workbench::check_memory(const Compiled& compiled, int64_t batch) const {
  int64_t state = compiled.state.bytes, step = compiled.plan.arena_bytes;
  if (static_cast<double>(state) + static_cast<double>(step) <= static_cast<double>(machine_memory())) return;
  auto size = [](int64_t n) { return format_bytes(static_cast<double>(n)); };
  std::string needs = step > state ? "a step of batch " + std::to_string(batch) + " needs " + size(step) + " of memory; lower 'batch_size'"
                                   : "weights and optimizer need " + size(state) + " of memory; make the layers smaller";
  SpecError error(batch_place_, needs);
  error.diagnostic.lines = {"there are " + format_bytes(static_cast<double>(machine_memory()))};
  throw error;
}

void Workbench::make_state(StepKind kind, int64_t batch, uint64_t seed) {
  const ProgramKey key{kind, batch};
  check_memory(entry(key).compiled, batch);
  layout_ = entry(key).compiled.state;
  // Tensors that this program happens not to read still belong to the model.
  for (const StateTensor& t : model_.state()) {
    if (layout_.offsets.count(t.tensor.path) || (t.tensor.role == Role::slot && kind != StepKind::train)) continue;
    layout_.offsets[t.tensor.path] = layout_.bytes;
    layout_.bytes += (t.tensor.type.bytes() + 63) / 64 * 64;
  }
  make_room();
  for (const StateTensor& t : model_.state()) {
    auto it = layout_.offsets.find(t.tensor.path);
    if (it == layout_.offsets.end()) continue;
    std::vector<char> values(static_cast<size_t>(t.tensor.type.bytes()));
    initialize(t.init, t.tensor.path, seed, t.tensor.type.dtype, t.tensor.type.elements(), values.data());
    state_->write(it->second, values.data(), t.tensor.type.bytes());
  }
}

std::string outputs_text(const Model& model) {
  std::vector<std::string> parts;
  for (const ModelOutput& output : model.outputs()) parts.push_back(output.name + " " + format_shape(output.shape));
  return parts.empty() ? "no output" : join(parts, ", ");
}

Columns columns_of(const Dataset& data) {
  Columns out;
  for (size_t i = 0; i < data.columns.size(); ++i) out[data.schema.columns[i].name] = data.columns[i].data();
  return out;
}

int64_t evaluation_cap(const Model& model, const Schema& schema, int64_t training_batch) {
  int64_t numbers = 0;
  for (const ModelOutput& output : model.outputs()) numbers += element_count(output.shape);
  for (const ColumnSchema& c : schema.columns) numbers += c.type.elements();
  return evaluation_cap(numbers, training_batch);
}

namespace {

Truth truth_of(const Dataset& data, const ColumnSchema& column, const std::vector<int32_t>& rows) {
  Truth out;
  out.target = column.name;
  const std::byte* values = data.find(column.name)->data();
  int64_t n = column.type.elements();
  for (int32_t r : rows)
    for (int64_t i = 0; i < n; ++i) {
      int64_t at = r * column.row_pitch() + i;
      switch (column.type.dtype) {
      case DType::f32: out.targets.push_back(reinterpret_cast<const float*>(values)[at]); break;
      case DType::i64: out.labels.push_back(static_cast<int32_t>(reinterpret_cast<const int64_t*>(values)[at])); break;
      case DType::i32: out.labels.push_back(reinterpret_cast<const int32_t*>(values)[at]); break;
      default: out.labels.push_back(static_cast<int32_t>(values[at]));
      }
    }
  return out;
}

}  // namespace

std::vector<std::string> measured_outputs(const Model& model) {
  std::vector<std::string> out;
  for (const ModelOutput& output : model.outputs())
    if (!output.target.empty()) out.push_back(output.name);
  return out;
}

std::string class_reports(const Predicted& predicted, const Truth& truth, const Schema& schema, const std::vector<std::string>& reports) {
  const ColumnSchema* column = schema.find(truth.target);
  std::string text, title = truth.metric.empty() ? "" : truth.target + "\n";
  for (const std::string& what : reports) {
    if (what == "confusion_matrix")
      text += "\n" + title + print_confusion(confusion_matrix(predicted), column->classes, std::max(80, terminal_width()));
    if (what == "classification_report") text += "\n" + title + print_classification(confusion_matrix(predicted), column->classes);
  }
  return text;
}

SplitRows truth_of_rows(const Dataset& data, const Model& model, const std::vector<int32_t>& rows) {
  SplitRows out{rows, {}};
  bool several = measured_outputs(model).size() > 1;
  for (const ModelOutput& output : model.outputs()) {
    const ColumnSchema* column = output.target.empty() ? nullptr : data.schema.find(output.target);
    if (!column) continue;
    out.truths.push_back(truth_of(data, *column, rows));
    out.truths.back().output = output.prefix();
    const Prediction& p = output.prediction;
    if (p.kind == Prediction::Kind::probability) out.truths.back().axis = p.classes > 1 ? p.axis : Truth::kEachOne;
    if (several) out.truths.back().metric = output.name + "_";
  }
  return out;
}

namespace {
constexpr std::array kBesideWeights = {"optimizer.", "ema.", "train.", "data."};
}

void load_weights(const Model& model, Workbench& bench, const std::string& folder, std::vector<std::string>& notes) {
  for (const LoadRule& rule : model.loads()) {
    std::string path = fs::path(rule.file).is_absolute() ? rule.file : (fs::path(folder) / rule.file).string();
    if (!fs::is_regular_file(path)) throw SpecError(rule.loc, "no such file: '" + path + "'");
    SafetensorsFile file(path);
    std::map<std::string, const SafetensorsFile::Entry*> by_path;
    size_t used = 0;
    for (const auto& entry : file.entries()) {
      std::string name = entry.name;
      for (const auto& [from, to] : rule.rename) {
        // "fc.*" -> "head.*": what the star stands for is kept.
        size_t star = from.find('*');
        if (star == std::string::npos ? name == from : glob_match(from, name)) {
          std::string middle = star == std::string::npos ? "" : name.substr(star, name.size() - (from.size() - 1));
          name = replace_all(to, "*", middle);
          break;
        }
      }
      by_path[name] = &entry;
    }
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

FinishedRun open_run(const std::string& folder, const std::vector<std::string>& sets, Sources& sources, Diagnostics& diagnostics) {
  FinishedRun run;
  run.folder = folder;
  std::string spec = folder + "/spec.yaml";
  if (!fs::is_regular_file(spec)) throw RuntimeError(folder + " is no run folder: it has no spec.yaml");
  for (const char* name : {"best", "last"})
    if (std::string path = folder + "/checkpoints/" + name + ".safetensors"; run.checkpoint.empty() && fs::is_regular_file(path))
      run.checkpoint = path;
  if (run.checkpoint.empty()) {
    for (const char* part : {"fold1", "trial1"})
      if (fs::is_directory(fs::path(folder) / part))
        throw RuntimeError(folder + " holds several runs: name one of them, as in " + folder + "/" + part);
    throw RuntimeError(folder + " has no checkpoint");
  }
  std::map<std::string, std::string> notes = SafetensorsFile(run.checkpoint).metadata();
  if (auto it = notes.find(kSchemaEntry); it != notes.end()) run.schema = schema_from_text(it->second, run.checkpoint);
  run.spec = load_spec(sources, spec, sets, diagnostics);
  if (!diagnostics.errors()) check_vocabulary(run.spec, diagnostics);
  return run;
}

}  // namespace mlc
