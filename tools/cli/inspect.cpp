// mlc check, show, dump-ir, opt: looking without training.
#include "compiler/base/text.h"
#include "compiler/emit/c99.h"
#include "compiler/plan/cost.h"
#include "runtime/cpu/jit.h"
#include "tools/cli/argument_defaults.h"
#include "tools/cli/checked.h"
#include "tools/cli/gradients.h"
#include "tools/cli/measured.h"
#include "tools/cli/text_diff.h"

#include <boost/program_options/value_semantic.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

namespace mlc {
namespace {

namespace po = boost::program_options;

void print_table(const Checked& c) {
  size_t path = 5, op = 2, shape = 6;
  for (const LayerRow& r : c.model->layers()) {
    path = std::max(path, r.path.size() + 2 * static_cast<size_t>(r.depth));
    op = std::max(op, r.op.size());
    shape = std::max(shape, format_shape(r.output).size());
  }
  std::cout << fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}\n", "layer", path, "op", op, "output", shape, "parameters");
  for (const LayerRow& r : c.model->layers())
    std::cout << fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}\n", std::string(2 * static_cast<size_t>(r.depth), ' ') + r.path, path, r.op,
                             op, format_shape(r.output), shape, r.parameters ? format_count(r.parameters) : "");
  std::cout << fmt::format("{} parameters, {}\n", format_count(c.model->parameter_count()), outputs_text(*c.model));
}

std::string size_text(int64_t n) { return format_bytes(static_cast<double>(n)); }

void print_memory(const Checked& c, const Compiled& compiled) {
  int64_t weights = 0, slots = 0;
  for (const StateTensor& t : c.model->state()) (t.tensor.role == Role::slot ? slots : weights) += t.tensor.type.bytes();
  std::cout << fmt::format("step of batch {}: {} ops, {} kernels in {} launches; memory {} (weights {}, optimizer {}, step {})\n", c.batch,
                           compiled.graph.ops.size(), compiled.kernels.size(), compiled.plan.steps.size(),
                           size_text(compiled.state.bytes + compiled.plan.arena_bytes), size_text(weights), size_text(slots),
                           size_text(compiled.plan.arena_bytes));
}

std::string print_memory_plan(const Compiled& c) {
  std::vector<std::pair<const Buffer*, const Buffer::Slice*>> slices;
  for (const Buffer& b : c.plan.buffers)
    for (const Buffer::Slice& s : b.slices) slices.push_back({&b, &s});
  std::stable_sort(slices.begin(), slices.end(),
                   [](const auto& x, const auto& y) { return x.first->offset + x.second->offset < y.first->offset + y.second->offset; });
  std::string out = fmt::format("{:<44} {:<22} {:>10} {:>10} {:>12}\n", "value", "type", "size", "segments", "offset");
  for (const auto& [b, s] : slices) {
    const Op& op = c.graph.ops[s->value];
    std::string name = fmt::format("{}.{} %{}", c.graph.scopes[static_cast<size_t>(op.scope)].path, op_info(op.code).name, s->value);
    if (name.size() > 44) name = "..." + name.substr(name.size() - 41);
    out += fmt::format("{:<44} {:<22} {:>10} {:>10} {:>12}\n", name, format_type(op.type),
                       size_text(storage_elements(op.type, op.layout) * dtype_bytes(op.type.dtype)),
                       fmt::format("{}..{}", s->first, s->last), b->offset + s->offset);
  }
  return out + fmt::format("peak {} bytes; live at most {} ({:.1f} % above)\n", c.plan.arena_bytes, c.plan.live_bytes,
                           c.plan.live_bytes ? 100.0 * static_cast<double>(c.plan.arena_bytes - c.plan.live_bytes) /
                                                   static_cast<double>(c.plan.live_bytes)
                                             : 0.0);
}

// "500MB", "2GB", "64KB" or bytes; 0 for no text.
int64_t memory_bytes(const std::string& text) {
  if (text.empty()) return 0;
  size_t end = 0;
  double number = 0;
  try {
    number = std::stod(text, &end);
  } catch (const std::exception&) {}
  static const std::map<std::string, double> kUnits = {{"", 1}, {"B", 1}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
  auto unit = kUnits.find(text.substr(end));
  if (end == 0 || unit == kUnits.end() || !(number > 0) || number * unit->second > 1e18)
    throw UsageError("--memory is a size such as 500MB or 2GB, not '" + text + "'\n");
  return static_cast<int64_t>(number * unit->second);
}

// By doubling, then bisection: memory grows with the batch.
void print_largest_batch(Checked& c, const Arguments& a, int64_t memory) {
  Workbench bench(c.spec, workbench_options(a), *c.model);
  auto need = [&](int64_t batch) -> int64_t {
    CompileOptions options = bench.options();
    options.last = "schedule";
    Compiled compiled = compile(c.model->build(GraphKind::train, batch), options);
    return compiled.state.bytes + compiled.plan.arena_bytes;
  };
  constexpr int64_t kMost = 1 << 20;
  int64_t fits = 0, beyond = 2;   // one row alone is no legal batch for every layer
  while (beyond <= kMost && need(beyond) <= memory) fits = beyond, beyond *= 2;
  while (fits > 0 && fits + 1 < beyond && beyond <= kMost) {
    int64_t middle = fits + (beyond - fits) / 2;
    (need(middle) <= memory ? fits : beyond) = middle;
  }
  if (fits == 0) std::cout << fmt::format("no batch fits {}: a step of two rows needs {}\n", size_text(memory), size_text(need(2)));
  else
    std::cout << fmt::format("largest batch within {}: {}{}, {}\n", size_text(memory), beyond > kMost ? "at least " : "", fits,
                             size_text(need(fits)));
}

}  // namespace

int check_command(int argc, char** argv) {
  Arguments a("check", "Checks a spec against its data's schema: layers, shapes, parameters, memory of a step. No device is used.",
              {"SPEC"});
  a.add()("plan", po::bool_switch(), "every value of the step that lies in memory: size, lifetime, offset, and the peak");
  a.add()("memory", po::value<std::string>()->default_value("")->value_name("SIZE"),
          "also the largest batch whose step fits SIZE, such as 500MB or 2GB");
  a.add()("grad", po::bool_switch(),
          "compare the gradients of the loss and of the spec's own definitions with central differences, on rows of the data");
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  if (a.flag("grad")) return check_gradients(a) ? kDone : kFault;
  std::unique_ptr<Checked> c = check_spec(a.text("SPEC"), a);
  if (!c->model) return kFault;
  if (!c->note.empty()) std::cout << c->note << "\n";
  print_table(*c);
  if (!c->spec.find("train")) return kDone;
  Workbench bench(c->spec, workbench_options(a), *c->model);
  CompileOptions options = bench.options();
  options.last = "lower";   // no code: kernels are counted
  Compiled compiled = compile(c->model->build(GraphKind::train, c->batch), options);
  print_memory(*c, compiled);
  if (a.flag("plan")) std::cout << print_memory_plan(compiled);
  if (int64_t memory = memory_bytes(a.text("memory"))) print_largest_batch(*c, a, memory);
  return kDone;
}

int show_command(int argc, char** argv) {
  Arguments a("show",
              "Prints the effective spec, each value with its origin: file and line, --set, or default. The output reads back as a spec.",
              {"SPEC"});
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  Sources sources;
  Diagnostics diagnostics(sources);
  Node spec = read_spec(a.text("SPEC"), a, sources, diagnostics);
  if (spec.is(Node::Kind::null)) return kFault;
  if (!diagnostics.errors()) std::cout << print_spec(with_argument_defaults(std::move(spec), sources, true), true, sources);
  return report(diagnostics, a.flag("werror")) ? kFault : kDone;
}

namespace {

const std::map<std::string, std::string> kStages = {{"graph", "graph"},
                                                    {"grad", "graph"},
                                                    {"simplified", "simplify"},
                                                    {"layouts", "assign_layouts"},
                                                    {"fused", "fuse"},
                                                    {"plan", "schedule"},
                                                    {"loops", "lower"},
                                                    {"llvm", "emit"},
                                                    {"asm", "emit"},
                                                    {"c", "lower"},
                                                    {"spec", ""}};

// A value by its place in the spec, without its number.
std::string value_name(const Graph& graph, ValueId v) {
  const Op& op = graph.ops[v];
  const std::string& path = graph.scopes[static_cast<size_t>(op.scope)].path;
  return path + (path.empty() ? "" : ".") + std::string(op_info(op.code).name);
}

std::string total_text(const Compiled& c, const std::string& layer) {
  int64_t groups = 0, saved = 0, moved = 0;
  for (const Group& group : c.grouping.groups) {
    if (!of_layer(c.graph, group, layer)) continue;
    GroupCost cost = group_cost(c.graph, group);
    ++groups, saved += cost.saved_bytes, moved += cost.read_bytes + cost.written_bytes;
  }
  return fmt::format("{} groups, {} moved a step, {} saved by fusion\n", groups, size_text(moved), size_text(saved));
}

std::string refusals_text(const Compiled& c, const std::string& layer) {
  std::string out;
  for (const Refusal& r : c.grouping.refusals)
    if (of_layer(c.graph, r.producer, layer) || of_layer(c.graph, r.consumer, layer))
      out += fmt::format("refused ({}, {}) rule={} reason=\"{}\"\n", value_name(c.graph, r.producer), value_name(c.graph, r.consumer),
                         r.rule, r.reason);
  return out;
}

std::string ops_text(const std::vector<std::string>& ops) { return ops.size() > 12 ? fmt::format("{} ops", ops.size()) : join(ops, " "); }

// One line a group, without numbers of groups and values: what two programs have in common reads alike.
std::string comparable_groups(const Compiled& c, const std::string& layer, bool refusals) {
  std::string out;
  for (const Group& group : c.grouping.groups) {
    if (!of_layer(c.graph, group, layer)) continue;
    std::vector<std::string> ops;
    for (ValueId v : group.body) ops.emplace_back(op_info(c.graph.ops[v].code).name);
    GroupCost cost = group_cost(c.graph, group);
    out += fmt::format("{} {}: {}; {:.3g} MFLOP, reads {}, writes {}\n", form_name(group.form), value_name(c.graph, group.anchor),
                       ops_text(ops), cost.flops * 1e-6, size_text(cost.read_bytes), size_text(cost.written_bytes));
  }
  return out + total_text(c, layer) + (refusals ? refusals_text(c, layer) : "");
}

// Groups as a reader of the spec sees them: members by line, what they ask of the machine, what fusion saved, and why
// others stayed apart.
std::string explain(const Compiled& c, const std::string& layer, const Sources& sources) {
  std::string out;
  for (size_t g = 0; g < c.grouping.groups.size(); ++g) {
    const Group& group = c.grouping.groups[g];
    if (!of_layer(c.graph, group, layer)) continue;
    GroupCost cost = group_cost(c.graph, group);
    out += fmt::format("group {} {} {}: {:.3g} MFLOP, reads {}, writes {}, saves {}\n", g, form_name(group.form),
                       value_name(c.graph, group.anchor), cost.flops * 1e-6, size_text(cost.read_bytes), size_text(cost.written_bytes),
                       size_text(cost.saved_bytes));
    std::map<std::pair<uint32_t, uint32_t>, std::vector<std::string>> lines;
    for (ValueId v : group.body) lines[{c.graph.ops[v].loc.file, c.graph.ops[v].loc.line}].emplace_back(op_info(c.graph.ops[v].code).name);
    for (const auto& [place, ops] : lines) {
      std::string text = place.first ? std::string(sources.line(place.first, place.second)) : "";
      text.erase(0, text.find_first_not_of(' '));
      if (text.size() > 30) text.replace(27, text.npos, "...");
      out += fmt::format("  {:<40}  {}\n", place.first ? fmt::format("line {}: {}", place.second, text) : "no line", ops_text(ops));
    }
  }
  return out + total_text(c, layer) + refusals_text(c, layer);
}

void add_dump_options(Arguments& a) {
  a.add()("stage", po::value<std::string>()->default_value("fused")->value_name("NAME"),
          "spec, graph, grad, simplified, layouts, fused, plan, loops, c (C99), llvm or asm");
  a.add()("explain", po::bool_switch(),
          "fused: groups by lines of the spec, with bytes moved and saved, and every refusal with its rule and reason");
  a.add()("diff", po::value<std::string>()->value_name("OTHER"),
          "what changes at this stage: for another SPEC, a setting PATH=VALUE, no-fusion or disable-pass=NAME; or since an earlier stage, "
          "by its name");
  a.add()("op", po::value<std::string>()->default_value("")->value_name("PATH"),
          "only what holds ops of the layer with this path, as in residual1.linear1 or loss");
  a.add()("batch", po::value<int64_t>()->default_value(0)->value_name("N"), "batch size (default: the spec's)");
  a.add()("cpu", po::value<std::string>()->value_name("NAME"),
          "asm: for another CPU, such as haswell or aarch64:neoverse-n1; --lanes is its width");
  a.add()("program", po::value<std::string>()->default_value("train")->value_name("NAME"), "train, eval or predict");
  a.add_spec_options();
}

std::string c99_text(const Compiled& c, const std::string& layer) {
  std::string out = c99_prelude();
  for (int k : kernels_of_layer(c, layer)) out += "\n" + emit_c99(c.kernels[static_cast<size_t>(k)]);
  return out;
}

void need_layer(const Graph& graph, const std::string& layer) {
  for (ValueId v = 0; v < graph.ops.size(); ++v)
    if (of_layer(graph, v, layer)) return;
  std::vector<std::string> paths;
  for (const Scope& scope : graph.scopes) paths.push_back(scope.path);
  throw RuntimeError("the program has no op of '" + layer + "'" + did_you_mean(nearest(layer, paths)));
}

// The text of a stage; nothing where faults were printed.
std::optional<std::string> stage_text(const Arguments& a, const std::string& stage) {
  std::string program = a.text("program");
  if (!kStages.count(stage)) {
    std::vector<std::string> names;
    for (const auto& [name, pass] : kStages) names.push_back(name);
    throw UsageError("unknown stage '" + stage + "'; stages are " + join(names, ", ") + "\n");
  }
  if (program != "train" && program != "eval" && program != "predict") throw UsageError("--program is train, eval or predict\n");
  if (a.has("cpu") && stage != "asm") throw UsageError("--cpu goes with --stage asm\n");
  if (a.flag("explain") && stage != "fused") throw UsageError("--explain goes with --stage fused\n");
  if (stage == "spec" && !a.text("op").empty()) throw UsageError("--op goes with the stages behind the spec\n");
  std::unique_ptr<Checked> c = check_spec(a.text("SPEC"), a);
  if (!c->model) return std::nullopt;
  if (stage == "spec") return print_spec(c->spec, false, c->sources);
  GraphKind kind = program == "train" ? GraphKind::train : program == "eval" ? GraphKind::eval : GraphKind::predict;
  // "graph" is the forward part alone.
  if (stage == "graph" && kind == GraphKind::train) kind = GraphKind::eval;
  int64_t batch = a.integer("batch") > 0 ? a.integer("batch") : c->batch;
  Graph graph = c->model->build(kind, batch);
  std::string layer = a.text("op");
  need_layer(graph, layer);
  Workbench bench(c->spec, workbench_options(a), *c->model);
  CompileOptions options = bench.options();
  options.layer = layer;
  if (stage == "graph" || stage == "grad") return print_graph(graph, layer);
  if (stage == "fused" && a.has("diff") && !kStages.count(a.text("diff")))
    return comparable_groups(compile(std::move(graph), options), layer, a.flag("explain"));
  if (a.flag("explain")) return explain(compile(std::move(graph), options), layer, c->sources);
  if (stage == "c") return c99_text(compile(std::move(graph), options), layer);
  std::string text = run_pass(std::move(graph), kStages.at(stage), options);
  return stage == "asm" ? load_jit().assembly(text, a.has("cpu") ? a.text("cpu") : "") : text;
}

// Values without their numbers, which each pass gives anew, nor the spaces that line the layers up behind them.
std::string unnumbered(const std::string& text) {
  std::string out;
  bool number = false;
  for (char c : text) {
    if ((number && std::isdigit(static_cast<unsigned char>(c))) || (c == ' ' && !out.empty() && out.back() == ' ')) continue;
    number = c == '%';
    out += c;
  }
  return out;
}

}  // namespace

int dump_ir_command(int argc, char** argv) {
  constexpr const char* kSummary = "Prints a level of the compiler: spec, graph, grad (the whole step before simplification), simplified, "
                                   "layouts, fused, plan, loops, c, llvm, asm.";
  Arguments a("dump-ir", kSummary, {"SPEC"});
  add_dump_options(a);
  if (!a.parse(argc, argv)) return kDone;
  std::optional<std::string> text = stage_text(a, a.text("stage"));
  if (!text) return kFault;
  if (!a.has("diff")) return std::cout << *text, kDone;
  auto print_difference = [](const std::string& before, const std::string& after) {
    std::string difference = diff_lines(split_lines(before), split_lines(after));
    std::cout << (difference.empty() ? "no difference\n" : difference);
    return kDone;
  };
  std::string other = a.text("diff");
  if (kStages.count(other)) {
    std::optional<std::string> before = stage_text(a, other);
    return before ? print_difference(unnumbered(*before), unnumbered(*text)) : kFault;
  }
  // The same command line with one thing changed.
  std::vector<std::string> words(argv, argv + argc);
  if (other == "no-fusion" || other.rfind("disable-pass=", 0) == 0) words.push_back("--" + other);
  else if (other.find('=') != std::string::npos && !std::filesystem::exists(other)) words.push_back("--set=" + other);
  else std::replace(words.begin() + 1, words.end(), a.text("SPEC"), other);
  std::vector<char*> pointers;
  for (std::string& w : words) pointers.push_back(w.data());
  Arguments changed("dump-ir", kSummary, {"SPEC"});
  add_dump_options(changed);
  changed.parse(static_cast<int>(pointers.size()), pointers.data());
  std::optional<std::string> after = stage_text(changed, changed.text("stage"));
  return after ? print_difference(*text, *after) : kFault;
}

int opt_command(int argc, char** argv) {
  Arguments a("opt", "Runs the passes up to one on a graph's text and prints what it made; for tests.", {"FILE"});
  a.add()("pass", po::value<std::string>()->default_value("simplify"), "name of the pass, or print");
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  Sources sources;
  Diagnostics diagnostics(sources);
  std::ifstream in(a.text("FILE"));
  if (!in) throw RuntimeError(a.text("FILE") + ": no such file");
  std::stringstream text;
  text << in.rdbuf();
  CompileOptions options;
  if (int64_t lanes = a.integer("lanes")) options.target.lanes = static_cast<int>(lanes);
  options.target.registers = options.target.lanes == 8 ? 16 : 32;
  options.disabled = disabled_passes(a);
  try {
    Graph graph = parse_graph(sources, sources.add(a.text("FILE"), text.str()));
    std::string pass = a.text("pass");
    const auto& names = pass_names();
    if (pass != "print" && std::find(names.begin(), names.end(), pass) == names.end())
      throw UsageError("passes are print, " + join(names, ", ") + "\n");
    std::cout << (pass == "print" ? print_graph(graph) : run_pass(std::move(graph), pass, options));
  } catch (const SpecError& e) {
    diagnostics.report(e.diagnostic);
  }
  return report(diagnostics, false) ? kFault : kDone;
}

}  // namespace mlc
