#include "compiler/model/rules.h"

#include "compiler/base/text.h"
#include "compiler/model/initializers.h"
#include "compiler/model/schedules.h"

#include <algorithm>
#include <cmath>

namespace mlc {
namespace {

// "until 3 epochs", in steps.
int64_t frozen_until(const Node& value, int64_t steps_per_epoch, int64_t total_steps) {
  std::string_view text = value.is(Node::Kind::text) ? trim(value.text) : "";
  if (!starts_with(text, "until ")) throw SpecError(value.loc, "'frozen' is true, false, or a time: until 3 epochs");
  Duration duration =
      read_duration(std::string(text.substr(6)), steps_per_epoch, static_cast<double>(total_steps), value.loc, "frozen: until");
  return std::llround(duration.steps);
}

// One rule, one source of values.
void check_settings(const Node& rule, Diagnostics& diagnostics) {
  const Node* first = nullptr;
  for (const auto& [key, value] : rule.entries) {
    bool source = key.text == "load" || std::count(initializer_names().begin(), initializer_names().end(), key.text);
    if (source && first)
      diagnostics.error(key.loc, "a rule has one of load and the initialisers", {{first->loc, "'" + first->text + "' stands here"}});
    else if (source) first = &key;
    else if (key.text == "rename" && !rule.find("load")) diagnostics.error(key.loc, "'rename' goes with 'load'");
  }
}

// `settings`: what rules may set beside match and op; none: judged later.
std::vector<Rule> read_rules(const Node* list, const std::vector<std::string>& settings, Diagnostics& diagnostics) {
  std::vector<Rule> out;
  if (!list) return out;
  if (!list->is(Node::Kind::list)) {
    diagnostics.error(list->loc, "rules must be a list, not " + kind_name(list->kind));
    return out;
  }
  std::vector<std::string> keys = settings;
  keys.insert(keys.begin(), {"match", "op"});
  for (const Node& node : list->items) {
    if (!node.is(Node::Kind::map)) {
      diagnostics.error(node.loc, "a rule must be a map with 'match' or 'op' and its settings");
      continue;
    }
    Rule rule{.node = &node};
    for (const auto& [key, value] : node.entries) {
      if (!settings.empty() && std::find(keys.begin(), keys.end(), key.text) == keys.end()) {
        diagnostics.report(
            misnamed(key.loc, "unknown key '" + key.text + "' of a rule", nearest(key.text, keys), "; keys are " + join(keys, ", ")));
      } else if (key.text == "op") {
        rule.op = value.text;
      } else if (key.text == "match") {
        if (value.is(Node::Kind::list))
          for (const Node& glob : value.items) rule.match.push_back(glob.text);
        else rule.match.push_back(value.text);
      } else if (key.text == "frozen" && !value.is(Node::Kind::boolean)) {
        try {
          frozen_until(value, 1, 1);
        } catch (const SpecError& error) {
          diagnostics.report(error.diagnostic);
        }
      }
    }
    check_settings(node, diagnostics);
    if (rule.match.empty() && rule.op.empty()) diagnostics.error(node.loc, "a rule needs 'match' (a pattern of paths) or 'op'");
    else out.push_back(std::move(rule));
  }
  return out;
}

}  // namespace

Rules::Rules(const Node& spec, Diagnostics& diagnostics) {
  std::vector<std::string> settings = initializer_names();
  settings.insert(settings.end(), {"load", "rename"});
  init_ = read_rules(spec.find("init"), settings, diagnostics);
  if (const Node* train = spec.find("train"); train && train->is(Node::Kind::map))
    train_ = read_rules(train->find("params"), {}, diagnostics);
}

void Rules::check_arguments(const std::vector<std::string>& arguments, Diagnostics& diagnostics) const {
  std::vector<std::string> keys = {"match", "op", "frozen"};
  keys.insert(keys.end(), arguments.begin(), arguments.end());
  for (const Rule& rule : train_)
    for (const auto& [key, value] : rule.node->entries)
      if (std::find(keys.begin(), keys.end(), key.text) == keys.end())
        diagnostics.report(misnamed(key.loc, "the optimizer has no '" + key.text + "' for a rule to set", nearest(key.text, keys),
                                    "; rules set " + join({keys.begin() + 2, keys.end()}, ", ")));
}

void Rules::check_length(int64_t steps_per_epoch, int64_t total_steps, Diagnostics& diagnostics) const {
  for (const Rule& rule : train_) {
    const Node* frozen = rule.setting("frozen");
    if (!frozen || !frozen->is(Node::Kind::text) || total_steps <= 0) continue;
    int64_t until = frozen_until(*frozen, steps_per_epoch, total_steps);
    if (until >= total_steps)
      diagnostics.warning(frozen->loc, "schedule-too-long",
                          "'frozen: " + frozen->text + "' is " + std::to_string(until) + " steps; the training has " +
                              std::to_string(total_steps) + ", so that these parameters are never trained");
  }
}

const Rule* Rules::first(const std::vector<Rule>& rules, const std::string& path, const std::string& op) {
  for (const Rule& rule : rules) {
    if (!fits(rule, path, op)) continue;
    return &rule;
  }
  return nullptr;
}

int64_t Rules::thaw_step(const std::string& path, const std::string& op) const {
  const Rule* rule = train_rule(path, op);
  const Node* setting = rule ? rule->setting("frozen") : nullptr;
  if (!setting) return 0;
  if (setting->is(Node::Kind::boolean)) return setting->boolean() ? kNever : 0;
  return frozen_until(*setting, steps_per_epoch_, total_steps_);
}

bool Rules::fits(const Rule& rule, const std::string& path, const std::string& op) {
  bool path_fits = rule.match.empty() ||
                   std::any_of(rule.match.begin(), rule.match.end(), [&](const std::string& glob) { return glob_match(glob, path); });
  return path_fits && (rule.op.empty() || rule.op == op);
}

void Rules::check_used(const std::map<std::string, std::string>& owners, Diagnostics& diagnostics) const {
  std::vector<std::string> paths, ops;
  for (const auto& [path, op] : owners) paths.push_back(path), ops.push_back(op);
  for (const std::vector<Rule>* rules : {&init_, &train_}) {
    for (const Rule& rule : *rules) {
      const Node* selector = rule.node->find(rule.match.empty() ? "op" : "match");
      // An earlier rule may have taken all that this one names: only a pattern that fits no path at all is a fault.
      if (std::any_of(owners.begin(), owners.end(), [&](const auto& tensor) { return fits(rule, tensor.first, tensor.second); })) continue;
      std::string name = rule.match.empty() ? rule.op : join(rule.match, ", ");
      bool op = rule.match.empty();
      diagnostics.report(misnamed(selector->loc, "'" + name + "' matches no " + (op ? "op with parameters" : "parameter"),
                                  nearest(name, op ? ops : paths)));
    }
  }
}

}  // namespace mlc
