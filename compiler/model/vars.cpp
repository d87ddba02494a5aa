#include "compiler/model/vars.h"

#include "compiler/base/text.h"
#include "compiler/model/rules.h"
#include "compiler/spec/spec.h"

namespace mlc {
namespace {

// A text in `vars` is a formula when it holds an operator, a call or a bracket, or names another variable.
bool is_formula(const Node& node, const Node& vars) {
  return node.is(Node::Kind::text) && (looks_like_formula(node.text) || vars.find(node.text));
}

Value variable(const Node& node, const Node& vars, Env& env, Evaluator& evaluator) {
  switch (node.kind) {
  case Node::Kind::null: return {};
  case Node::Kind::boolean: return Value::of_flag(node.boolean());
  case Node::Kind::integer: return Value::of_integer(node.integer());
  case Node::Kind::real: return Value::of_real(node.number());
  case Node::Kind::text: return is_formula(node, vars) ? evaluator.eval(parse_formula(node), env) : Value::of_text(node.text);
  case Node::Kind::list: {
    std::vector<Value> items;
    for (const Node& item : node.items) items.push_back(variable(item, vars, env, evaluator));
    return Value::of_list(std::move(items));
  }
  case Node::Kind::map: break;
  }
  throw SpecError(node.loc, "a variable is a number, a text, a flag, a list or a formula");
}

}  // namespace

void bind_vars(const Node& spec, Env& vars, Evaluator& evaluator, Diagnostics& diagnostics) {
  const Node* node = spec.find("vars");
  if (!node || !node->is(Node::Kind::map)) return;
  auto bind = [&](const Node& key, const Node& value, bool formula) {
    const std::string& name = key.text;
    try {
      check_given_name(key, "a variable's name");
      if (formula) vars.set_lazy(name, parse_formula(value), &vars);
      else vars.set(name, variable(value, *node, vars, evaluator));
    } catch (const SpecError& e) {
      diagnostics.report(e.diagnostic);
      vars.set(name, Value::make_unknown());
    }
  };
  for (const auto& [key, value] : node->entries)
    if (is_formula(value, *node)) bind(key, value, true);
  for (const auto& [key, value] : node->entries)
    if (!vars.has(key.text)) bind(key, value, false);
}

struct SettingFormulas::State {
  State(const Node& spec, Sources& sources)
      : faults(sources), library(sources), context(library, schema, rules, faults, GraphKind::predict, 1), evaluator(context) {
    context.vars = &vars;
    bind_vars(spec, vars, evaluator, faults);
  }
  Diagnostics faults;     // of variables: said where the model is elaborated
  Library library;
  Schema schema;
  Rules rules;
  Context context;
  Evaluator evaluator;
  Env vars;
};

SettingFormulas::SettingFormulas(const Node& spec, Sources& sources) : spec_(spec), sources_(sources) {}
SettingFormulas::~SettingFormulas() = default;

Value SettingFormulas::evaluate(const Node& text) {
  if (!state_) state_ = std::make_unique<State>(spec_, sources_);
  return state_->evaluator.eval(parse_formula(text), state_->vars);
}

namespace {

void resolve(Node& node, SettingFormulas& formulas, Diagnostics& diagnostics) {
  for (Node& item : node.items) resolve(item, formulas, diagnostics);
  for (auto& [key, value] : node.entries)
    if (key.text != "loss") resolve(value, formulas, diagnostics);
  if (!node.is(Node::Kind::text)) return;
  size_t space = node.text.rfind(' ');
  if (space == std::string::npos) return;
  Node head = node, unit = node;
  head.text = std::string(trim(node.text.substr(0, space)));
  head.loc.len = static_cast<uint32_t>(utf8_length(head.text));
  if (node.quoted) ++head.loc.col;
  unit.text = "1" + node.text.substr(space);
  if (!parse_quantity(unit) || parse_real(head.text)) return;
  ExprPtr formula;
  try {
    formula = parse_formula(head);
  } catch (const SpecError&) {
    return;   // some other text that ends like a unit
  }
  try {
    node.text = format_number(number_of(formulas.evaluate(head), head.loc, "the length '" + node.text + "'")) + node.text.substr(space);
  } catch (const SpecError& e) {
    diagnostics.report(e.diagnostic);
    node.text = unit.text;   // said once
  }
}

}  // namespace

void resolve_quantities(Node& spec, Diagnostics& diagnostics) {
  SettingFormulas formulas(spec, diagnostics.sources());
  if (Node* train = spec.find("train")) resolve(*train, formulas, diagnostics);
}

}  // namespace mlc
