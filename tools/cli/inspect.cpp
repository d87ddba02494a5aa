// mlc check, show, dump-ir, opt: looking without training.
#include "compiler/base/text.h"
#include "runtime/cpu/jit.h"
#include "tools/cli/bind.h"
#include "tools/cli/workbench.h"

#include <boost/program_options/value_semantic.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

namespace mlc {
namespace {

namespace po = boost::program_options;

/// A spec elaborated against its data's schema only.
struct Checked {
  Sources sources;
  Diagnostics diagnostics{sources};
  Node spec;
  Schema schema;
  std::unique_ptr<Model> model;
  int64_t batch = 1;
};

// Null model: faults were printed.
std::unique_ptr<Checked> check(const Arguments& a) {
  auto c = std::make_unique<Checked>();
  std::string path = a.text("SPEC");
  c->spec = read_spec(path, a, c->sources, c->diagnostics);
  if (c->spec.is(Node::Kind::null)) return c;
  DataSettings data = bind_data(c->spec, path, c->diagnostics);
  TrainSettings train = bind_train(c->spec, c->diagnostics);
  c->batch = train.batch_size;
  if (!c->diagnostics.errors()) {
    try {
      c->schema = read_schema(data);
      c->model = elaborate(c->spec, c->schema, c->sources, c->diagnostics);
    } catch (const SpecError& e) {
      c->diagnostics.report(e.diagnostic);
    }
  }
  if (!c->model && c->schema.columns.empty()) elaborate(c->spec, Schema{}, c->sources, c->diagnostics);
  if (report(c->diagnostics, a.flag("werror"))) c->model.reset();
  return c;
}

void print_table(const Checked& c) {
  size_t path = 5, op = 2, shape = 6;
  for (const LayerRow& r : c.model->layers()) {
    path = std::max(path, r.path.size() + 2 * static_cast<size_t>(r.depth));
    op = std::max(op, r.op.size());
    shape = std::max(shape, format_shape(r.output).size());
  }
  std::cout << fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}\n", "layer", path, "op", op, "output", shape, "parameters");
  for (const LayerRow& r : c.model->layers())
    std::cout << fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}\n", std::string(2 * static_cast<size_t>(r.depth), ' ') + r.path, path, r.op, op, format_shape(r.output), shape, r.parameters ? format_count(r.parameters) : "");
  std::cout << fmt::format("{} parameters, output {}\n", format_count(c.model->parameter_count()), format_shape(c.model->output_shape()));
}

}  // namespace

int check_command(int argc, char** argv) {
  Arguments a("check", "Checks a spec against its data's schema: layers, shapes, parameters, memory of a step. No device is used.", {"SPEC"});
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  std::unique_ptr<Checked> c = check(a);
  if (!c->model) return kFault;
  print_table(*c);
  if (!c->spec.find("train")) return kDone;
  Workbench bench(c->spec, workbench_options(a), *c->model);
  const Compiled& compiled = bench.compiled(StepKind::train, c->batch);
  int64_t weights = 0, slots = 0;
  for (const StateTensor& t : c->model->state()) (t.tensor.role == Role::slot ? slots : weights) += t.tensor.type.bytes();
  auto bytes = [](int64_t n) { return format_bytes(static_cast<double>(n)); };
  std::cout << fmt::format("step of batch {}: {} ops, {} kernels in {} launches; memory {} (weights {}, optimizer {}, step {})\n", c->batch, compiled.graph.ops.size(), compiled.kernels.size(), compiled.plan.steps.size(),
                           bytes(compiled.state.bytes + compiled.plan.arena_bytes), bytes(weights), bytes(slots), bytes(compiled.plan.arena_bytes));
  return kDone;
}

int show_command(int argc, char** argv) {
  Arguments a("show", "Prints the effective spec, each value with its origin: file and line, --set, or default. The output reads back as a spec.", {"SPEC"});
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  Sources sources;
  Diagnostics diagnostics(sources);
  Node spec = read_spec(a.text("SPEC"), a, sources, diagnostics);
  if (spec.is(Node::Kind::null)) return kFault;
  std::cout << print_spec(spec, true, sources);
  return report(diagnostics, a.flag("werror")) ? kFault : kDone;
}

int dump_ir_command(int argc, char** argv) {
  Arguments a("dump-ir", "Prints a level of the compiler: spec, graph, grad (the whole step before simplification), simplified, layouts, fused, plan, loops, llvm, asm.", {"SPEC"});
  a.add()("stage", po::value<std::string>()->default_value("fused")->value_name("NAME"), "spec, graph, grad, simplified, layouts, fused, plan, loops, llvm or asm");
  a.add()("batch", po::value<int64_t>()->default_value(0)->value_name("N"), "batch size (default: the spec's)");
  a.add()("program", po::value<std::string>()->default_value("train")->value_name("NAME"), "train, eval or predict");
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  static const std::map<std::string, std::string> kStages = {{"graph", "graph"}, {"grad", "graph"}, {"simplified", "simplify"}, {"layouts", "assign_layouts"}, {"fused", "fuse"}, {"plan", "schedule"}, {"loops", "lower"}, {"llvm", "emit"}, {"asm", "emit"}, {"spec", ""}};
  std::string stage = a.text("stage"), program = a.text("program");
  if (!kStages.count(stage)) {
    std::vector<std::string> names;
    for (const auto& [name, pass] : kStages) names.push_back(name);
    throw UsageError("unknown stage '" + stage + "'; stages are " + join(names, ", ") + "\n");
  }
  if (program != "train" && program != "eval" && program != "predict") throw UsageError("--program is train, eval or predict\n");
  std::unique_ptr<Checked> c = check(a);
  if (!c->model) return kFault;
  if (stage == "spec") return std::cout << print_spec(c->spec, false, c->sources), kDone;
  GraphKind kind = program == "train" ? GraphKind::train : program == "eval" ? GraphKind::eval : GraphKind::predict;
  // "graph" is the forward part alone.
  if (stage == "graph" && kind == GraphKind::train) kind = GraphKind::eval;
  int64_t batch = a.integer("batch") > 0 ? a.integer("batch") : c->batch;
  Graph graph = c->model->build(kind, batch);
  Workbench bench(c->spec, workbench_options(a), *c->model);
  if (stage == "graph" || stage == "grad") return std::cout << print_graph(graph), kDone;
  std::string text = run_pass(std::move(graph), kStages.at(stage), bench.options());
  std::cout << (stage == "asm" ? load_jit().assembly(text) : text);
  return kDone;
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
  options.disabled = a.list("disable-pass");
  try {
    Graph graph = parse_graph(sources, sources.add(a.text("FILE"), text.str()));
    std::string pass = a.text("pass");
    const auto& names = pass_names();
    if (pass != "print" && std::find(names.begin(), names.end(), pass) == names.end()) throw UsageError("passes are print, " + join(names, ", ") + "\n");
    std::cout << (pass == "print" ? print_graph(graph) : run_pass(std::move(graph), pass, options));
  } catch (const SpecError& e) {
    diagnostics.report(e.diagnostic);
  }
  return report(diagnostics, false) ? kFault : kDone;
}

}  // namespace mlc
