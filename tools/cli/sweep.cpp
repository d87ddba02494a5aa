// mlc sweep: trains a spec with many settings and compares the results.
#include "runtime/train/sweep.h"
#include "compiler/base/text.h"
#include "tools/cli/folds.h"
#include "tools/cli/run.h"
#include "tools/cli/table.h"

#include <boost/program_options/value_semantic.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>

namespace mlc {
namespace {

constexpr int64_t kMostTrials = 100'000;

// `sweep` of a spec: plain settings, and the nodes that choices stand for.
struct BoundSweep {
  SweepSettings settings;
  std::vector<const Node*> over;          ///< of each axis

  Node value(size_t axis, const SweepValue& v) const {
    const SweepAxis& a = settings.axes[axis];
    if (a.kind == SweepAxis::Kind::choice) return over[axis]->items[static_cast<size_t>(v.choice)];
    if (a.kind == SweepAxis::Kind::integer) return Node::make_integer(static_cast<int64_t>(v.number), over[axis]->loc, Origin::set);
    return Node::make_real(v.number, over[axis]->loc, Origin::set);
  }
};

double bound(const Node& n, const std::string& path) {
  if (!n.is_number()) throw SpecError(n.loc, "a bound of '" + path + "' must be a number");
  return n.number();
}

SweepAxis read_axis(const Node& key, const Node& over, const Node& spec) {
  SweepAxis axis{.path = key.text};
  if (starts_with(key.text, "vars.")) {
    std::string name = key.text.substr(5);
    const Node* vars = spec.find("vars");
    std::vector<std::string> known;
    for (size_t i = 0; vars && i < vars->entries.size(); ++i) known.push_back(vars->entries[i].first.text);
    if (!std::count(known.begin(), known.end(), name)) throw SpecError(unknown_name(key.loc, "variable", name, known));
  }
  if (starts_with(key.text, "sweep")) throw SpecError(key.loc, "a sweep cannot change itself");
  if (over.is(Node::Kind::list)) {
    if (over.items.empty()) throw SpecError(over.loc, "'" + key.text + "' has no values to try");
    axis.choices = static_cast<int64_t>(over.items.size());
    return axis;
  }
  static const std::vector<std::string> kRanges = {"log", "uniform", "int"};
  if (!over.is(Node::Kind::map) || over.entries.size() != 1)
    throw SpecError(over.loc, "'" + key.text + "' takes a list of values, or one of {log: [a, b]}, {uniform: [a, b]}, {int: [a, b]}");
  const auto& [kind, range] = over.entries[0];
  if (!std::count(kRanges.begin(), kRanges.end(), kind.text)) throw SpecError(unknown_name(kind.loc, "range", kind.text, kRanges));
  axis.kind = kind.text == "log" ? SweepAxis::Kind::log : kind.text == "int" ? SweepAxis::Kind::integer : SweepAxis::Kind::uniform;
  if (!range.is(Node::Kind::list) || range.items.size() != 2) throw SpecError(range.loc, "a range is written [from, to]");
  axis.low = bound(range.items[0], key.text), axis.high = bound(range.items[1], key.text);
  if (!(axis.low < axis.high)) throw SpecError(range.loc, "the range of '" + key.text + "' must rise");
  if (axis.kind == SweepAxis::Kind::log && axis.low <= 0) throw SpecError(range.items[0].loc, "a log range lies above 0");
  if (axis.kind == SweepAxis::Kind::integer && (axis.low != std::floor(axis.low) || axis.high != std::floor(axis.high)))
    throw SpecError(range.loc, "an int range has whole bounds");
  return axis;
}

// "max val_accuracy", "min val_loss", or the name alone: then by what it measures.
void read_objective(const Node& n, const TrainSettings& train, SweepSettings& to) {
  std::vector<std::string> words = split(std::string(trim(n.text)), ' ');
  bool directed = words.size() == 2 && (words[0] == "max" || words[0] == "min");
  if (!directed && words.size() != 1) throw SpecError(n.loc, "'objective' is written 'max val_accuracy' or 'min val_loss'");
  to.objective = words.back();
  std::vector<std::string> known = train.monitors();
  if (!std::count(known.begin(), known.end(), to.objective)) throw SpecError(unknown_name(n.loc, "objective", to.objective, known));
  to.maximize = directed ? words[0] == "max" : rises(to.objective);
}

BoundSweep bind_sweep(const Node& spec, const TrainSettings& train, Diagnostics& diagnostics) {
  BoundSweep out;
  SweepSettings& s = out.settings;
  s.seed = train.seed;
  const Node* sweep = spec.find("sweep");
  if (!sweep) {
    diagnostics.error(spec.loc, "the spec has no 'sweep': {objective: max val_accuracy, over: {train.optimizer.lr: [0.1, 0.01]}}");
    return out;
  }
  auto guard = [&](auto f) {
    try {
      f();
    } catch (const SpecError& e) {
      diagnostics.report(e.diagnostic);
    }
  };
  const Node *method = sweep->find("method"), *objective = sweep->find("objective"), *over = sweep->find("over"),
             *trials = sweep->find("trials");
  s.random = method && method->text == "random";
  if (!objective) diagnostics.error(sweep->loc, "'sweep' needs 'objective', as in 'max val_accuracy'");
  else guard([&] { read_objective(*objective, train, s); });
  if (!over || over->entries.empty())
    diagnostics.error(over ? over->loc : sweep->loc, "'sweep' needs 'over', the settings to try: {train.optimizer.lr: [0.1, 0.01]}");
  else
    for (const auto& [key, value] : over->entries)
      guard([&, &key = key, &value = value] {
        s.axes.push_back(read_axis(key, value, spec));
        out.over.push_back(&value);
        if (!s.random && s.axes.back().kind != SweepAxis::Kind::choice)
          throw SpecError(value.loc, "a grid needs lists: write the values of '" + key.text + "', or 'method: random'");
      });
  if (trials && (!trials->is(Node::Kind::integer) || trials->integer() < 1 || trials->integer() > kMostTrials))
    diagnostics.error(trials->loc, "'trials' is a whole number from 1 to " + std::to_string(kMostTrials));
  else if (trials) s.trials = trials->integer();
  else if (s.random) diagnostics.error(sweep->loc, "a random sweep needs 'trials', their number");
  if (diagnostics.errors() || s.random) return out;
  int64_t grid = grid_size(s, kMostTrials + 1);
  if (s.trials > grid)
    diagnostics.error(trials->loc, "the grid has " + std::to_string(grid) + " points; 'trials: " + std::to_string(s.trials) + "' are more");
  else if (!trials && grid > kMostTrials)
    diagnostics.error(over->loc, "the grid has more than " + std::to_string(kMostTrials) + " points; 'trials' bounds them");
  else if (!trials) s.trials = grid;
  return out;
}

std::string short_text(const Node& n) {
  if (n.is_scalar()) return n.is(Node::Kind::real) ? format_number(n.number()) : n.text;
  std::vector<std::string> parts;
  for (const Node& item : n.items) parts.push_back(short_text(item));
  for (const auto& [key, value] : n.entries) parts.push_back(key.text + ": " + short_text(value));
  return (n.is(Node::Kind::list) ? "[" : "{") + join(parts, ", ") + (n.is(Node::Kind::list) ? "]" : "}");
}

nlohmann::ordered_json json_of(const Node& n) {
  if (n.is(Node::Kind::integer)) return n.integer();
  if (n.is(Node::Kind::real)) return n.number();
  if (n.is(Node::Kind::boolean)) return n.boolean();
  return short_text(n);
}

struct Trial {
  int64_t number = 0;
  std::vector<Node> values;
  int status = kDone;
  double objective = std::nan("");
  nlohmann::ordered_json summary;
};

class Sweep {
public:
  explicit Sweep(const Arguments& arguments) : arguments_(arguments), base_(arguments) {}

  int run() {
    if (!base_.read(&reuse_)) return kFault;
    sweep_ = bind_sweep(base_.spec(), base_.settings(), base_.diagnostics());
    if (!base_.diagnostics().errors() && starts_with(sweep_.settings.objective, "val_") && !base_.validates())
      base_.diagnostics().error(
          base_.spec().find("sweep")->find("objective")->loc,
          "'" + sweep_.settings.objective +
              "' needs validation rows, and the data have none: give 'data.split.val', 'data.split.k_fold' or 'data.val'");
    if (base_.diagnostics().errors()) return report(base_.diagnostics(), false), kFault;
    kept_ = base_.kept_spec(true);
    base_.leave(reuse_);
    for (const std::vector<SweepValue>& values : sweep_trials(sweep_.settings)) {
      Trial t{.number = static_cast<int64_t>(trials_.size()) + 1};
      for (size_t a = 0; a < values.size(); ++a) t.values.push_back(sweep_.value(a, values[a]));
      trials_.push_back(std::move(t));
    }
    // A fault of the last trial shall not show after hours.
    for (const Trial& t : trials_) {
      Run probe(arguments_, assignments(t));
      if (!probe.read(&reuse_)) return kFault;
      probe.leave(reuse_);
    }
    return train_all();
  }

private:
  std::vector<Assignment> assignments(const Trial& t) const {
    std::vector<Assignment> out;
    const Node* over = base_.spec().find("sweep")->find("over");
    for (size_t a = 0; a < t.values.size(); ++a) out.push_back({sweep_.settings.axes[a].path, t.values[a], over->entries[a].first.loc});
    return out;
  }

  int train_all() {
    catch_interrupts();
    RunFolder folder = make_run_folder(arguments_, base_.spec());
    folder.clear_for_series();
    folder.write("spec.yaml", kept_);
    bool json = arguments_.flag("json"), quiet = arguments_.flag("quiet");
    Printer printer({quiet, json, false, 0}, folder, {});
    int status = kDone;
    size_t done = 0;
    for (; done < trials_.size() && status != kInterrupted; ++done) {
      status = train_one(trials_[done], folder, printer);
      if (status == kFault) return kFault;
    }
    trials_.resize(done);
    return finish(folder, printer, status == kInterrupted);
  }

  int train_one(Trial& t, RunFolder& folder, Printer& printer) {
    std::vector<Assignment> values = assignments(t);
    Run run(arguments_, values);
    if (!run.read(&reuse_)) return kFault;
    RunFolder part = RunFolder::at(folder.file("trial" + std::to_string(t.number)));
    t.status = train_spec(run, arguments_, values, part, {.part = true}, reuse_, &t.summary);
    if (t.status == kFault) return kFault;
    const std::string& objective = sweep_.settings.objective;
    if (t.status == kDone && t.summary.contains(objective) && t.summary[objective].is_number())
      t.objective = t.summary[objective].get<double>();
    nlohmann::ordered_json event = {{"event", "trial"}, {"trial", t.number}, {"trials", trials_.size()}};
    std::string line = fmt::format("trial {}/{}", t.number, trials_.size());
    for (size_t a = 0; a < t.values.size(); ++a) {
      event["values"][sweep_.settings.axes[a].path] = json_of(t.values[a]);
      line += "  " + sweep_.settings.axes[a].path + "=" + short_text(t.values[a]);
    }
    for (const auto& [key, value] : t.summary.items())
      if (key != "event") event[key] = value;
    event["objective"] = t.objective;
    line += t.status == kStopped       ? "  the loss is not a number"
            : t.status == kInterrupted ? "  interrupted"
                                       : "  " + objective + " " + number4(t.objective);
    printer.line(line + "  " + duration_text(t.summary["seconds"].get<double>()), event);
    return t.status;
  }

  // Not a number is behind all numbers.
  bool better(const Trial* a, const Trial* b) const {
    if (std::isnan(a->objective) || std::isnan(b->objective)) return !std::isnan(a->objective) && std::isnan(b->objective);
    return sweep_.settings.maximize ? a->objective > b->objective : a->objective < b->objective;
  }

  int finish(RunFolder& folder, Printer& printer, bool was_interrupted) {
    std::vector<const Trial*> order;
    for (const Trial& t : trials_) order.push_back(&t);
    std::stable_sort(order.begin(), order.end(), [&](const Trial* a, const Trial* b) { return better(a, b); });
    const Trial* best = !order.empty() && !std::isnan(order[0]->objective) ? order[0] : nullptr;
    nlohmann::ordered_json json = {{"event", "summary"}, {"trials", trials_.size()}, {"objective", sweep_.settings.objective}};
    if (best) {
      json["best"] = best->number;
      json["value"] = best->objective;
      for (size_t a = 0; a < best->values.size(); ++a) json["values"][sweep_.settings.axes[a].path] = json_of(best->values[a]);
      json["best_run"] = folder.file("trial" + std::to_string(best->number));
    }
    json["run"] = folder.path();
    printer.summary("", json);
    if (!arguments_.flag("json")) std::cout << table(order);
    if (!arguments_.flag("json") && !arguments_.flag("quiet")) {
      if (best)
        std::cerr << "best: trial " << best->number << "; its run folder is " << folder.file("trial" + std::to_string(best->number))
                  << "\n";
      else std::cerr << "no trial gave a number for " << sweep_.settings.objective << "\n";
    }
    return was_interrupted ? kInterrupted : best ? kDone : kStopped;
  }

  // The best first: the settings, the objective, and what else was measured.
  std::string table(const std::vector<const Trial*>& order) const {
    std::vector<std::string> heading = {"trial"}, measured;
    for (const SweepAxis& axis : sweep_.settings.axes) heading.push_back(axis.path);
    for (const Trial* t : order)
      for (const auto& [key, value] : t->summary.items())
        if (is_measured(key, value) && !key.ends_with("_std") && !std::count(measured.begin(), measured.end(), key))
          measured.push_back(key);
    std::erase(measured, sweep_.settings.objective);
    measured.insert(measured.begin(), sweep_.settings.objective);
    heading.insert(heading.end(), measured.begin(), measured.end());
    std::vector<std::vector<std::string>> rows = {heading};
    for (const Trial* t : order) {
      std::vector<std::string> row = {std::to_string(t->number)};
      for (const Node& v : t->values) row.push_back(short_text(v));
      for (const std::string& key : measured) {
        bool there = t->status == kDone && t->summary.contains(key) && t->summary[key].is_number();
        row.push_back(there ? number4(t->summary[key].get<double>()) : "-");
      }
      rows.push_back(std::move(row));
    }
    return format_table(rows);
  }

  const Arguments& arguments_;
  Run base_;
  Reuse reuse_;
  std::string kept_;
  BoundSweep sweep_;
  std::vector<Trial> trials_;
};

}  // namespace

int sweep_command(int argc, char** argv) {
  Arguments a(
      "sweep",
      "Trains a spec once for each trial of its `sweep` section, and prints a table, the best first. Each trial has its run folder.",
      {"SPEC"});
  namespace po = boost::program_options;
  a.add()("out", po::value<std::string>()->value_name("DIR"), "folder of the trials (default: runs/NAME/TIME)");
  a.add()("quiet,q", po::bool_switch(), "print only errors, warnings and the table");
  a.add()("json", po::bool_switch(), "one JSON object a line on standard output: trials and a summary");
  a.add_spec_options();
  if (!a.parse(argc, argv)) return kDone;
  return Sweep(a).run();
}

}  // namespace mlc
