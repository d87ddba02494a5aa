#include "compiler/compile.h"

#include "compiler/base/hash.h"
#include "compiler/emit/llvm.h"
#include "compiler/graph/graph.h"
#include "compiler/loops/group_key.h"
#include "compiler/loops/lower.h"
#include "compiler/plan/attention.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <unordered_map>

namespace mlc {
namespace {

// Kernels worth more than one thread, in estimated nanoseconds: a barrier costs about 0.1 us, waking a core more.
constexpr double kParallelWork = 5000;

/// What the passes work on. Each pass is a function of this; the runner below is the only caller.
struct Pipeline {
  Compiled& out;
  const CompileOptions& options;
  struct Call {
    int kernel;                          // index in out.kernels
    std::vector<loops::ArgRef> args;
    std::string contraction;
    std::vector<Tiling> tilings;
  };
  std::vector<Call> calls;               // by group

  bool enabled(const char* pass) const { return !std::count(options.disabled.begin(), options.disabled.end(), pass); }
  bool attention() const { return enabled("attention") && enabled("fuse"); }
};

void place_args(const Compiled& c, const std::vector<loops::ArgRef>& args, Launch& launch) {
  for (const loops::ArgRef& a : args) {
    ArgPlace place;
    switch (a.kind) {
    case loops::ArgRef::Kind::value: place = {Space::arena, 0, c.plan.offset_of(a.value)}; break;
    case loops::ArgRef::Kind::state:
      place = {Space::state, 0, c.state.offsets.at(c.graph.tensors[static_cast<size_t>(a.tensor)].path)};
      break;
    case loops::ArgRef::Kind::rows: place = {Space::rows, 0, 0}; break;
    case loops::ArgRef::Kind::column:
    case loops::ArgRef::Kind::output: {
      bool output = a.kind == loops::ArgRef::Kind::output;
      const std::string& path = c.graph.tensors[static_cast<size_t>(a.tensor)].path;
      int columns = 0;
      for (const TensorSlot& t : c.program.tensors) {
        if (t.role == (output ? Role::output : Role::input) && t.path == path)
          place = {output ? Space::results : Space::column, output ? 0 : columns, output ? 4 * t.offset : 0};
        columns += t.role == Role::input;
      }
      break;
    }
    }
    launch.args.push_back(place);
  }
}

void make_slots(Compiled& c) {
  int64_t results = 0;
  for (const Tensor& t : c.graph.tensors) {
    TensorSlot slot{t.path, t.type, t.role, 0};
    if (t.role == Role::output) {
      slot.offset = results;
      results += t.type.elements();
    } else if (t.role != Role::input) {
      slot.offset = c.state.offsets.at(t.path);
    }
    c.program.tensors.push_back(std::move(slot));
  }
  c.program.results_per_step = static_cast<int>(results);
}

std::string run_simplify(Pipeline& p) {
  simplify(p.out.graph);
  return p.options.dump ? print_graph(p.out.graph, p.options.layer) : "";
}

std::string run_attention(Pipeline& p) {
  if (p.attention()) split_attention(p.out.graph, p.options.target);
  return p.options.dump ? print_graph(p.out.graph, p.options.layer) : "";
}

std::string run_layouts(Pipeline& p) {
  assign_layouts(p.out.graph, p.options.target, p.attention());
  std::string text;
  for (ValueId v = 0; p.options.dump && v < p.out.graph.ops.size(); ++v) {
    if (!of_layer(p.out.graph, v, p.options.layer)) continue;
    const Op& op = p.out.graph.ops[v];
    text += "%" + std::to_string(v) + " = " + std::string(op_info(op.code).name) + " " + format_type(op.type) +
            " layout=" + print_layout(op.layout, op.type.shape.size()) + "\n";
  }
  return text;
}

std::string run_fuse(Pipeline& p) {
  p.out.grouping = fuse(p.out.graph, p.options.target, {p.enabled("fuse"), p.attention(), p.options.state});
  if (p.options.verify) verify(p.out.graph, p.out.grouping);
  return p.options.dump ? print_grouping(p.out.graph, p.out.grouping, p.options.layer) : "";
}

std::string run_schedule(Pipeline& p) {
  p.out.state = p.options.state ? *p.options.state : layout_state(p.out.graph, p.out.grouping);
  check_state(p.out.graph, p.out.grouping, p.out.state);
  p.out.plan = schedule(p.out.graph, p.out.grouping);
  check_plan(p.out.graph, p.out.grouping, p.out.plan);
  return p.options.dump ? print_plan(p.out.graph, p.out.grouping, p.out.plan, p.options.layer) : "";
}

std::string run_lower(Pipeline& p) {
  std::string text;
  std::map<std::string, int> known;      // equal kernels are one
  loops::GroupKeys keys(p.out.graph, p.out.plan);
  struct Lowered {
    size_t call;
    loops::GroupKey key;
  };
  std::unordered_map<std::string, Lowered> lowered_as;
  for (const Group& g : p.out.grouping.groups) {
    std::optional<loops::GroupKey> key = keys.of(g);
    auto former = key ? lowered_as.find(key->text) : lowered_as.end();
    std::vector<loops::ArgRef> moved;
    if (former != lowered_as.end()) {
      const Pipeline::Call& call = p.calls[former->second.call];
      moved = moved_arguments(call.args, former->second.key, *key);
      if (!p.options.verify && !p.options.dump) {
        p.calls.push_back({call.kernel, std::move(moved), call.contraction, call.tilings});
        continue;
      }
    }
    loops::Lowered lowered = loops::lower(p.out.graph, g, p.out.plan, p.options.target, p.enabled("templates"));
    if (p.options.dump && of_layer(p.out.graph, g, p.options.layer)) text += loops::print_kernel(lowered.kernel);
    if (p.options.verify) loops::verify(lowered.kernel);
    auto [it, fresh] = known.insert({lowered.kernel.name, static_cast<int>(p.out.kernels.size())});
    if (former != lowered_as.end())
      ensure(it->second == p.calls[former->second.call].kernel && lowered.args == moved, "lower: groups of one key have different loops");
    if (fresh) p.out.kernels.push_back(std::move(lowered.kernel));
    if (key && former == lowered_as.end()) lowered_as.emplace(key->text, Lowered{p.calls.size(), *key});
    p.calls.push_back({it->second, std::move(lowered.args), std::move(lowered.contraction), std::move(lowered.tilings)});
  }
  return text;
}

std::string run_emit(Pipeline& p) {
  Compiled& c = p.out;
  make_slots(c);
  c.program.name = c.graph.name;
  c.program.batch = static_cast<int>(c.graph.batch);
  c.program.arena_bytes = c.plan.arena_bytes;
  c.program.state_bytes = c.state.bytes;
  c.program.scalars = c.graph.scalars;
  c.program.host_state = c.graph.host_state;
  for (const loops::Kernel& k : c.kernels) {
    KernelText kernel{k.name, emit_llvm(k, p.options.target.lanes), 0};
    kernel.hash = hash_bytes(kernel.text);
    c.program.kernels.push_back(std::move(kernel));
  }
  for (const Step& s : c.plan.steps) {
    const Pipeline::Call& call = p.calls[static_cast<size_t>(s.group)];
    const loops::Kernel& kernel = c.kernels[static_cast<size_t>(call.kernel)];
    Launch launch;
    launch.kernel = call.kernel;
    launch.tiles = kernel.tiles;
    launch.parallel = kernel.work > kParallelWork && kernel.tiles > 1;
    launch.barrier_after = s.barrier_after;
    place_args(c, call.args, launch);
    if (!call.contraction.empty()) c.tiled.push_back({static_cast<int>(c.program.launches.size()), call.contraction, call.tilings});
    c.program.launches.push_back(std::move(launch));
  }
  std::string text;
  if (p.options.dump)
    for (int k : kernels_of_layer(c, p.options.layer)) text += c.program.kernels[static_cast<size_t>(k)].text;
  return text;
}

struct Pass {
  const char* name;
  std::string (*run)(Pipeline&);
  bool optional;          // may be left out; "fuse" has a plain form of its own instead
};

constexpr Pass kPasses[] = {
    {"simplify", run_simplify, true}, {"attention", run_attention, true}, {"assign_layouts", run_layouts, false},
    {"fuse", run_fuse, false},        {"schedule", run_schedule, false},  {"lower", run_lower, false},
    {"emit", run_emit, false},
};

Compiled run_passes(Graph graph, const CompileOptions& options) {
  Compiled out;
  out.graph = std::move(graph);
  Pipeline p{out, options, {}};
  if (options.dump) options.dump("graph", print_graph(out.graph, options.layer));
  if (options.verify) verify(out.graph);
  for (const Pass& pass : kPasses) {
    if (pass.optional && !p.enabled(pass.name)) continue;
    auto begin = std::chrono::steady_clock::now();
    std::string text = pass.run(p);
    out.times.push_back({pass.name, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count()});
    if (options.verify) verify(out.graph);
    if (options.dump) options.dump(pass.name, text);
    if (pass.name == options.last) break;
  }
  return out;
}

}  // namespace

const std::vector<std::string>& pass_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> n;
    for (const Pass& p : kPasses) n.push_back(p.name);
    return n;
  }();
  return names;
}

const std::vector<std::string>& optional_passes() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> n;
    for (const Pass& p : kPasses)
      if (p.optional) n.push_back(p.name);
    n.insert(n.end(), {"fuse", "templates"});
    return n;
  }();
  return names;
}

Compiled compile(Graph graph, const CompileOptions& options) { return run_passes(std::move(graph), options); }

std::set<int> kernels_of_layer(const Compiled& c, const std::string& layer) {
  std::set<int> out;
  for (size_t i = 0; i < c.plan.steps.size(); ++i)
    if (of_layer(c.graph, c.grouping.groups[static_cast<size_t>(c.plan.steps[i].group)], layer)) out.insert(c.program.launches[i].kernel);
  return out;
}

std::string run_pass(Graph graph, const std::string& pass, const CompileOptions& options) {
  std::string result;
  CompileOptions o = options;
  o.verify = true;
  o.dump = [&](const std::string& name, const std::string& text) {
    if (name == pass) result = text;
  };
  o.last = pass;
  run_passes(std::move(graph), o);
  return result;
}

}  // namespace mlc
