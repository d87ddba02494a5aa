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
  Duration duration = read_duration(std::string(text.substr(6)), steps_per_epoch, static_cast<double>(total_steps), value.loc, "frozen: until");
  return std::llround(duration.steps);
}

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
      if (std::find(keys.begin(), keys.end(), key.text) == keys.end()) {
        std::string near = nearest(key.text, keys);
        diagnostics.report({.loc = key.loc,
                            .text = "unknown key '" + key.text + "' of a rule" +
                                    (near.empty() ? "; keys are " + join(keys, ", ") : "; did you mean '" + near + "'?"),
                            .fix = near});
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
    train_ = read_rules(train->find("params"), {"lr", "weight_decay", "frozen"}, diagnostics);
}

const Rule* Rules::first(const std::vector<Rule>& rules, const std::string& path, const std::string& op) {
  for (const Rule& rule : rules) {
    bool path_fits = rule.match.empty() ||
                     std::any_of(rule.match.begin(), rule.match.end(), [&](const std::string& glob) { return glob_match(glob, path); });
    if (!path_fits || (!rule.op.empty() && rule.op != op)) continue;
    rule.used = true;
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

void Rules::check_used(const std::vector<std::string>& paths, Diagnostics& diagnostics) const {
  for (const std::vector<Rule>* rules : {&init_, &train_}) {
    for (const Rule& rule : *rules) {
      const Node* selector = rule.node->find(rule.match.empty() ? "op" : "match");
      // An earlier rule may have taken all that this one names: only a pattern that fits no path at all is a fault.
      bool fits = rule.used;
      for (const std::string& glob : rule.match)
        fits |= std::any_of(paths.begin(), paths.end(), [&](const std::string& path) { return glob_match(glob, path); });
      if (fits) continue;
      std::string name = rule.match.empty() ? rule.op : join(rule.match, ", ");
      std::string near = nearest(name, paths);
      diagnostics.report({.loc = selector->loc,
                          .text = "'" + name + "' matches no parameter" + (near.empty() ? "" : "; did you mean '" + near + "'?"),
                          .fix = near});
    }
  }
}

}  // namespace mlc
