#include "tools/cli/workbench.h"

#include "compiler/base/text.h"
#include "compiler/graph/graph.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/cpu/jit.h"
#include "tools/cli/tune.h"

#include <algorithm>
#include <chrono>

namespace mlc {

std::string choose_device(const Node& spec) {
  const Node* n = spec.find("device");
  std::string name = n ? n->text : "auto";
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

}  // namespace mlc
