#include "compiler/model/schedules.h"

#include "compiler/base/text.h"
#include "compiler/model/arguments.h"

#include <algorithm>
#include <cmath>

namespace mlc {
namespace {

using Kind = Value::Kind;
using Host = HostFormula::Op;

// Variables of a phase, see SchedulePhase.
enum : int { kRate, kStep, kTotal, kEpoch, kMonitored, kRising, kFirstState };

// Keys of a schedule that are not arguments of its definition.
const std::vector<std::string> kReserved = {"warmup", "for"};

class Phase {
public:
  Phase(const Node& node, int64_t steps_per_epoch, double run_steps, double phase_steps, double base_rate, Evaluator& evaluator)
      : evaluator_(evaluator), setting_(read_typed("schedule", node)), steps_per_epoch_(steps_per_epoch), run_steps_(run_steps),
        phase_steps_(phase_steps), base_rate_(base_rate), base_(evaluator.context().vars), names_(&base_) {}

  SchedulePhase build() {
    if (const Node* warmup = setting_.map ? setting_.map->find("warmup") : nullptr) warmup_ = steps(*warmup, "warmup").steps;
    total_ = std::max(0.0, phase_steps_ - warmup_);
    if (warmup_ > 0) warn_too_long("warmup", warmup_, setting_.map->find("warmup")->loc);
    SchedulePhase phase;
    Value rate = setting_.type == "formula" ? formula() : defined(phase);
    if (!rate.is_scalar()) throw SpecError(setting_.loc, "the rate must be a number; it is " + show_value(rate));
    // `lr (k + 1) / W` for the W steps of the warm-up, then the schedule from its start.
    if (warmup_ > 0) {
      Value k = Value::of_variable(kStep), base = Value::of_variable(kRate), w = Value::of_real(warmup_);
      Value rising = host_apply(Host::div, {host_apply(Host::mul, {base, host_apply(Host::add, {k, Value::of_integer(1)})}), w});
      rate = host_apply(Host::select, {host_apply(Host::lt, {k, w}), rising, rate});
    }
    phase.lr = rate.host_formula();
    return phase;
  }

private:
  // A run until a time is over has no length to compare with.
  void warn_too_long(const std::string& key, double steps, Loc loc) {
    if (run_steps_ > 0 && steps > phase_steps_)
      evaluator_.context().diagnostics.warning(loc, "schedule-too-long",
                                               "'" + key + "' is " + format_number(steps) + " steps; " +
                                                   (phase_steps_ < run_steps_ ? "the phase has " : "the training has ") +
                                                   format_number(phase_steps_));
  }

  static void need_scalar(const Node& node, const std::string& key) {
    if (!node.is_scalar())
      throw SpecError(node.loc, "'" + key + "' must be a duration like 500 steps or 30 epochs, not " + kind_name(node.kind));
  }
  Duration steps(const Node& node, const std::string& key) {
    need_scalar(node, key);
    return read_duration(node.text, steps_per_epoch_, run_steps_, node.loc, key);
  }

  // The names that a schedule's formulas see. `k` counts from the end of the warm-up; where a length is in epochs the
  // rate changes at epochs only, so k is the first step of the epoch.
  void bind_names(bool by_epoch) {
    Value k = Value::of_variable(kStep);
    if (warmup_ > 0) k = host_apply(Host::sub, {k, Value::of_real(warmup_)});
    if (by_epoch && steps_per_epoch_ > 1) {
      Value spe = Value::of_integer(steps_per_epoch_);
      k = host_apply(Host::mul, {host_apply(Host::floordiv, {k, spe}), spe});
    }
    base_.set("lr", Value::of_variable(kRate));
    base_.set("k", k);
    base_.set("total", Value::of_real(total_));
    base_.set("epoch", Value::of_variable(kEpoch));
    base_.set("value", Value::of_variable(kMonitored));
    base_.set("rising", Value::of_variable(kRising));
  }

  Value formula() {
    bind_names(false);
    const Node* rate = nullptr;
    static const Node kBare;
    for (const auto& [key, value] : (setting_.map ? *setting_.map : kBare).entries) {
      if (key.text == "lr") rate = &value;
      else if (key.text != "type" && std::find(kReserved.begin(), kReserved.end(), key.text) == kReserved.end())
        throw SpecError(key.loc,
                        "unknown key '" + key.text + "' of a formula schedule; it takes lr, a formula over lr, k, total and epoch");
    }
    if (!rate || !rate->is_scalar())
      throw SpecError(rate ? rate->loc : setting_.loc, "a formula schedule needs 'lr', a formula over lr, k, total and epoch");
    return evaluator_.eval(parse_formula(*rate), names_);
  }

  bool is_length(const Definition& d, const std::string& name) const {
    auto it = d.arguments.find(name);
    return it != d.arguments.end() && it->second.allows("steps") && !it->second.types.empty();
  }

  // Lengths with units become numbers of steps; `bare` numbers are a fault of what the user wrote.
  Value lengths(const Value& value, const std::string& key, Loc loc, bool bare_is_fault) {
    if (value.is(Kind::list)) {
      std::vector<Value> items;
      for (const Value& item : *value.list) items.push_back(lengths(item, key, loc, bare_is_fault));
      return Value::of_list(std::move(items));
    }
    if (value.is(Kind::text)) {
      Duration d = read_duration(value.text, steps_per_epoch_, run_steps_, loc, key);
      warn_too_long(key, d.steps, loc);
      by_epoch_ |= d.in_epochs;
      return Value::of_real(d.steps);
    }
    if (value.is_number() && bare_is_fault) read_duration(show_value(value), steps_per_epoch_, run_steps_, loc, key);
    return value;
  }

  Value length_argument(const Node& node, const std::string& key) {
    if (node.is(Node::Kind::list)) {
      std::vector<Value> items;
      for (const Node& item : node.items) items.push_back(length_argument(item, key));
      return Value::of_list(std::move(items));
    }
    need_scalar(node, key);
    // "30 epochs" is no formula; `total / 2` is one, in steps.
    bool formula = node.is(Node::Kind::text) && (looks_like_formula(node.text) || names_.find(node.text)) &&
                   node.text.find('%') != node.text.size() - 1;
    if (formula) return evaluator_.eval(parse_formula(node), names_);
    if (node.is(Node::Kind::null)) return {};
    return lengths(Value::of_text(node.text), key, node.loc, true);
  }

  std::vector<Given> arguments(const Definition& d) {
    std::vector<Given> given;
    if (!setting_.map) return given;
    std::vector<std::string> skip = kReserved;
    for (const auto& [key, node] : setting_.map->entries) {
      if (!is_length(d, key.text)) continue;
      skip.push_back(key.text);
      given.push_back({key.text, length_argument(node, key.text), node.loc});
    }
    for (Given& g : typed_arguments(d, setting_, skip, names_, evaluator_)) given.push_back(std::move(g));
    return given;
  }

  Value defined(SchedulePhase& phase) {
    Library& library = evaluator_.context().library;
    const Definition& d = find_typed(library, DefinitionKind::schedule, setting_);
    if (d.faulty) return Value::of_variable(kHostLr);
    bind_names(false);
    std::vector<Given> given = arguments(d);
    Loc loc = setting_.loc;
    return evaluator_.inside(d, loc, [&] {
      Env bound(&base_), names(&bound);
      evaluator_.bind(d, given, bound, loc);
      for (const Signature::Parameter& p : d.signature.parameters)
        if (is_length(d, p.name)) bound.set(p.name, lengths(*evaluator_.lookup(p.name, bound, loc), p.name, loc, false));
      bind_names(by_epoch_);
      for (const auto& [name, formula] : d.let) names.set_lazy(name, formula, &names);
      read_states(d, names, phase);
      evaluator_.require(d, names, loc);
      for (const auto& [name, formula] : d.update) {
        auto at = std::find_if(d.state.begin(), d.state.end(), [&, &wanted = name](const TensorRule& r) { return r.name == wanted; });
        if (at == d.state.end())
          throw SpecError(evaluator_.place(formula->loc), "'" + name + "' is no state of schedule '" + d.name() + "'");
        phase.states[static_cast<size_t>(at - d.state.begin())].update = evaluator_.eval(formula, names).host_formula();
      }
      return evaluator_.eval(d.rate, names);
    });
  }

  void read_states(const Definition& d, Env& names, SchedulePhase& phase) {
    phase.each = d.each == "step"    ? SchedulePhase::Each::step
                 : d.each == "epoch" ? SchedulePhase::Each::epoch
                                     : SchedulePhase::Each::validation;
    if (phase.each == SchedulePhase::Each::validation) {
      const Value* monitor = evaluator_.lookup("monitor", names, setting_.loc);
      phase.monitor = monitor && monitor->is(Kind::text) ? monitor->text : "val_loss";
    }
    // States start from the base rate, the one number of the run that is known before it.
    Env start(&names);
    start.set("lr", Value::of_real(base_rate_));
    for (const TensorRule& rule : d.state) {
      int index = kFirstState + static_cast<int>(phase.states.size());
      Value init = rule.init.is(Node::Kind::null) ? Value::of_integer(0) : read_argument(rule.init, nullptr, start, evaluator_);
      phase.states.push_back({.path = rule.name,
                              .init = number_of(init, setting_.loc, "the start of '" + rule.name + "'"),
                              .update = *Value::of_variable(index).host});
      names.set(rule.name, Value::of_variable(index));
    }
  }

  Evaluator& evaluator_;
  TypedSetting setting_;
  int64_t steps_per_epoch_;
  double run_steps_, phase_steps_, base_rate_, warmup_ = 0, total_ = 0;
  bool by_epoch_ = false;
  Env base_, names_;
};

}  // namespace

Duration read_duration(const std::string& text, int64_t steps_per_epoch, double total, Loc loc, const std::string& key) {
  std::string_view body = trim(text);
  size_t digits = 0;
  while (digits < body.size() && (std::isdigit(static_cast<unsigned char>(body[digits])) || body[digits] == '.' || body[digits] == 'e' ||
                                  (digits > 0 && (body[digits] == '-' || body[digits] == '+') && body[digits - 1] == 'e')))
    ++digits;
  // "30 epochs" ends its number at the space, but the e of "30epochs" belongs to the unit.
  while (digits > 0 && body[digits - 1] == 'e') --digits;
  auto number = parse_real(body.substr(0, digits));
  std::string_view unit = trim(body.substr(digits));
  if (number && *number >= 0) {
    if (unit == "step" || unit == "steps") return {*number, false};
    if (unit == "epoch" || unit == "epochs") return {*number * static_cast<double>(steps_per_epoch), true};
    if (unit == "%") return {std::floor(*number / 100 * total), false};
    if (unit.empty()) {
      std::string n(body);
      throw SpecError(loc, "'" + key + "' needs a unit: write '" + n + " epochs' or '" + n + " steps'");
    }
  }
  throw SpecError(loc, "'" + key + "' must be a duration like 500 steps, 30 epochs or 5%; it is '" + text + "'");
}

std::vector<SchedulePhase> build_schedule(const Node& section, int64_t steps_per_epoch, int64_t total_steps, double base_rate,
                                          Evaluator& evaluator) {
  const Node* node = section.find("schedule");
  std::vector<SchedulePhase> phases;
  if (!node || node->is(Node::Kind::null) || (node->is(Node::Kind::text) && node->text == "none")) return phases;
  auto total = static_cast<double>(total_steps);
  if (!node->is(Node::Kind::list)) return {Phase(*node, steps_per_epoch, total, total, base_rate, evaluator).build()};
  double used = 0;
  for (size_t i = 0; i < node->items.size(); ++i) {
    const Node& item = node->items[i];
    const Node* length = item.is(Node::Kind::map) ? item.find("for") : nullptr;
    bool last = i + 1 == node->items.size();
    if (!length && !last) throw SpecError(item.loc, "each phase but the last needs 'for', its length");
    Duration duration{.steps = std::max(0.0, total - used)};
    if (length) duration = read_duration(length->text, steps_per_epoch, total, length->loc, "for");
    SchedulePhase phase = Phase(item, steps_per_epoch, total, duration.steps, base_rate, evaluator).build();
    if (length) {
      phase.length_in_epochs = duration.in_epochs;
      phase.length = duration.in_epochs ? duration.steps / static_cast<double>(steps_per_epoch) : duration.steps;
    }
    used += duration.steps;
    if (length && total > 0 && used > total)
      evaluator.context().diagnostics.warning(length->loc, "schedule-too-long",
                                              "the phases up to here have " + format_number(used) + " steps; the training has " +
                                                  format_number(total));
    phases.push_back(std::move(phase));
  }
  return phases;
}

}  // namespace mlc
