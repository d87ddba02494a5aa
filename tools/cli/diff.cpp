// mlc diff: what two specs, or two runs, do differently.
#include "compiler/base/text.h"
#include "tools/cli/argument_defaults.h"
#include "tools/cli/checked.h"
#include "tools/cli/text_diff.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

namespace mlc {
namespace {

namespace fs = std::filesystem;

/// One side: a spec, or a run's folder with the spec and the results that it holds.
struct Side {
  std::string spec_path;
  nlohmann::ordered_json summary;            // of a run; null otherwise
  std::unique_ptr<Checked> checked;
  std::unique_ptr<Workbench> bench;
  const Compiled* compiled = nullptr;        // where the spec trains
};

bool open_side(const std::string& path, const Arguments& a, Side& side) {
  side.spec_path = path;
  std::error_code fault;
  bool run = fs::is_directory(path, fault);
  if (run) {
    side.spec_path = (fs::path(path) / "spec.yaml").string();
    if (!fs::is_regular_file(side.spec_path, fault)) throw RuntimeError(path + " is no run folder: it has no spec.yaml");
    std::ifstream events(fs::path(path) / "metrics.jsonl");
    for (std::string line; std::getline(events, line);) {
      nlohmann::ordered_json event = nlohmann::ordered_json::parse(line, nullptr, false);
      if (event.is_object() && event.value("event", "") == "summary") side.summary = std::move(event);
    }
  }
  side.checked = check_spec(side.spec_path, a, run);
  if (!side.checked->model) return false;
  if (!side.checked->spec.find("train")) return true;
  side.bench = std::make_unique<Workbench>(side.checked->spec, workbench_options(a), *side.checked->model);
  side.compiled = &side.bench->compiled({StepKind::train, side.checked->batch});
  return true;
}

// A node on one line, to be compared and shown.
std::string flat(const Node& node) {
  std::vector<std::string> parts;
  if (node.is(Node::Kind::list)) {
    for (const Node& item : node.items) parts.push_back(flat(item));
    return "[" + join(parts, ", ") + "]";
  }
  if (node.is(Node::Kind::map)) {
    for (const auto& [key, value] : node.entries) parts.push_back(key.text + ": " + flat(value));
    return "{" + join(parts, ", ") + "}";
  }
  return node.text.empty() ? "null" : node.text;
}

std::string indented(const std::string& text, const std::string& with) {
  std::string out;
  for (const std::string& line : split_lines(text)) out += with + line + "\n";
  return out;
}

// Values by their dotted paths; lists by their entries.
std::string diff_nodes(const Node* before, const Node* after, const std::string& path) {
  if (!before) return fmt::format("  + {}: {}\n", path, flat(*after));
  if (!after) return fmt::format("  - {}: {}\n", path, flat(*before));
  if (before->is(Node::Kind::map) && after->is(Node::Kind::map)) {
    std::string out;
    std::string head = path.empty() ? "" : path + ".";
    for (const auto& [key, value] : before->entries) out += diff_nodes(&value, after->find(key.text), head + key.text);
    for (const auto& [key, value] : after->entries)
      if (!before->find(key.text)) out += diff_nodes(nullptr, &value, head + key.text);
    return out;
  }
  if (flat(*before) == flat(*after)) return "";
  bool lists = before->is(Node::Kind::list) && after->is(Node::Kind::list);
  bool items = lists && std::any_of(after->items.begin(), after->items.end(), [](const Node& n) { return !n.is_number(); });
  if (!items) return fmt::format("  {}: {} -> {}\n", path, flat(*before), flat(*after));
  std::vector<std::string> a, b;
  for (const Node& item : before->items) a.push_back(flat(item));
  for (const Node& item : after->items) b.push_back(flat(item));
  return "  " + path + ":\n" + indented(diff_lines(a, b), "    ");
}

std::string diff_layers(const Model& a, const Model& b) {
  auto rows = [](const Model& m) {
    size_t path = 0, op = 0;
    for (const LayerRow& r : m.layers()) path = std::max(path, r.path.size()), op = std::max(op, r.op.size());
    std::vector<std::string> out;
    for (const LayerRow& r : m.layers())
      out.push_back(fmt::format("{}  {}  {}{}", r.path, r.op, format_shape(r.output),
                                r.parameters ? "  " + format_count(r.parameters) + " parameters" : ""));
    return out;
  };
  return indented(diff_lines(rows(a), rows(b)), "  ");
}

// "name: a -> b" where the numbers differ.
std::string change(const std::string& name, int64_t a, int64_t b, bool bytes = false) {
  if (a == b) return "";
  auto show = [&](int64_t n) { return bytes ? format_bytes(static_cast<double>(n)) : format_count(n); };
  std::string share = a > 0 ? fmt::format("  ({:+.1f} %)", 100.0 * (static_cast<double>(b) / static_cast<double>(a) - 1)) : "";
  return fmt::format("  {}: {} -> {}{}\n", name, show(a), show(b), share);
}

std::map<std::string, int64_t> count_ops(const Graph& graph) {
  std::map<std::string, int64_t> out;
  for (const Op& op : graph.ops) ++out[std::string(op_info(op.code).name)];
  return out;
}

std::map<std::string, int64_t> count_groups(const Compiled& c) {
  std::map<std::string, int64_t> out;
  for (const Group& g : c.grouping.groups) ++out[std::string(form_name(g.form))];
  return out;
}

std::string diff_counts(const std::map<std::string, int64_t>& a, const std::map<std::string, int64_t>& b) {
  std::set<std::string> names;
  for (const auto& [name, n] : a) names.insert(name);
  for (const auto& [name, n] : b) names.insert(name);
  std::string out;
  for (const std::string& name : names) out += change("  " + name, a.count(name) ? a.at(name) : 0, b.count(name) ? b.at(name) : 0);
  return out;
}

int64_t role_bytes(const Model& m, bool slots) {
  int64_t bytes = 0;
  for (const StateTensor& t : m.state())
    if ((t.tensor.role == Role::slot) == slots) bytes += t.tensor.type.bytes();
  return bytes;
}

std::string diff_results(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b) {
  std::string out;
  for (const auto& [key, value] : a.items()) {
    if (!value.is_number() || !b.contains(key) || !b[key].is_number() || value == b[key] || key == "parameters") continue;
    double x = value.get<double>(), y = b[key].get<double>();
    out += fmt::format("  {}: {:.6g} -> {:.6g}{}\n", key, x, y, x != 0 ? fmt::format("  ({:+.1f} %)", 100 * (y / x - 1)) : "");
  }
  return out;
}

void section(const char* title, const std::string& text) { std::cout << title << (text.empty() ? ": no difference\n" : "\n" + text); }

}  // namespace

int diff_command(int argc, char** argv) {
  Arguments a("diff",
              "Shows what differs between two specs or two runs: values of the spec, layers, parameters, ops, kernels, memory; of runs, "
              "the results too.",
              {"BEFORE", "AFTER"});
  a.add_spec_options();
  a.example("mlc diff specs/iris.yaml specs/wine.yaml\n  mlc diff runs/mnist/2026-01-01_10-00-00 runs/mnist/latest");
  if (!a.parse(argc, argv)) return kDone;
  Side left, right;
  bool ok = open_side(a.text("BEFORE"), a, left);
  if (!(open_side(a.text("AFTER"), a, right) && ok)) return kFault;
  const Model &m = *left.checked->model, &n = *right.checked->model;
  // The spec of a run states the defaults: beside one, the other does too.
  bool run = fs::is_directory(a.text("BEFORE")) || fs::is_directory(a.text("AFTER"));
  auto stated = [&](Side& s) { return run ? with_argument_defaults(s.checked->spec, s.checked->sources) : s.checked->spec; };
  Node before = stated(left), after = stated(right);
  section("spec", diff_nodes(&before, &after, ""));
  section("layers", diff_layers(m, n));
  section("parameters", change("trained", m.parameter_count(), n.parameter_count()));
  if (left.compiled && right.compiled) {
    const Compiled &x = *left.compiled, &y = *right.compiled;
    std::string ops = change("ops", static_cast<int64_t>(x.graph.ops.size()), static_cast<int64_t>(y.graph.ops.size())) +
                      diff_counts(count_ops(x.graph), count_ops(y.graph));
    section("graph of a step", ops);
    std::string kernels = change("kernels", static_cast<int64_t>(x.kernels.size()), static_cast<int64_t>(y.kernels.size())) +
                          change("launches", static_cast<int64_t>(x.plan.steps.size()), static_cast<int64_t>(y.plan.steps.size())) +
                          diff_counts(count_groups(x), count_groups(y));
    section("kernels", kernels);
    section("memory", change("weights", role_bytes(m, false), role_bytes(n, false), true) +
                          change("optimizer", role_bytes(m, true), role_bytes(n, true), true) +
                          change("step", x.plan.arena_bytes, y.plan.arena_bytes, true));
  }
  if (!left.summary.is_null() && !right.summary.is_null()) section("results", diff_results(left.summary, right.summary));
  return kDone;
}

}  // namespace mlc
