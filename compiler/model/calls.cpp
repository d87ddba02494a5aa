// Arguments and calls of definitions.
#include "compiler/base/text.h"
#include "compiler/model/evaluator.h"
#include "compiler/model/lints.h"
#include "compiler/spec/names.h"
#include "compiler/spec/spec.h"

#include <algorithm>

namespace mlc {
namespace {

using Kind = Value::Kind;

bool fits(const Value& value, const ArgumentRule& rule) {
  switch (value.kind) {
  case Kind::none:
  case Kind::unknown: return true;
  case Kind::flag: return rule.allows("flag") || rule.allows("number");
  case Kind::integer: return rule.allows("int") || rule.allows("number") || rule.allows("tensor") || rule.allows("steps");
  case Kind::real:
    return rule.allows("number") || rule.allows("tensor") || rule.allows("steps") || (rule.allows("int") && is_whole(value.real));
  case Kind::host: return rule.allows("number") || rule.allows("steps");
  case Kind::text: return rule.allows("text") || rule.allows("steps") || !rule.words.empty();
  case Kind::list: return rule.allows("list");
  case Kind::tensor: return rule.allows("tensor");
  }
  throw InternalError("unknown kind of value");
}

std::string wanted(const ArgumentRule& rule) {
  if (!rule.words.empty() && (rule.types.empty() || rule.types == std::vector<std::string>{"text"}))
    return "one of " + join(rule.words, ", ");
  static const std::map<std::string, std::string> names = {{"int", "an integer"},
                                                           {"number", "a number"},
                                                           {"flag", "true or false"},
                                                           {"text", "text"},
                                                           {"list", "a list"},
                                                           {"tensor", "a tensor"},
                                                           {"steps", "a duration like 500 steps or 30 epochs"},
                                                           {"formula", "a formula"},
                                                           {"none", "none"}};
  std::vector<std::string> parts = rule.words;
  for (const std::string& type : rule.types) parts.push_back(names.at(type));
  return join(parts, " or ");
}

// none is taken where it is the default, or one of the types.
bool takes_none(const Definition& d, const std::string& name, const ArgumentRule& rule) {
  if (rule.types.empty() || rule.allows("none")) return true;
  for (const auto& p : d.signature.parameters)
    if (p.name == name) return p.fallback && p.fallback->kind == Expr::Kind::name && p.fallback->name == "none";
  return true;
}

void check_argument(const Definition& d, const std::string& name, Value& value, Loc loc) {
  auto it = d.arguments.find(name);
  if (it == d.arguments.end()) return;
  const ArgumentRule& rule = it->second;
  std::string what = "'" + name + "' of " + d.name();
  if (value.is(Kind::text) && !rule.words.empty() && !rule.allows("steps")) {
    if (std::find(rule.words.begin(), rule.words.end(), value.text) != rule.words.end()) return;
    throw SpecError(misnamed(loc, what + " must be " + wanted(rule) + "; it is '" + value.text + "'", suggest(value.text, rule.words)));
  }
  if (!fits(value, rule) || (value.is(Kind::none) && !takes_none(d, name, rule)))
    throw SpecError(loc, what + " must be " + wanted(rule) + "; it is " + show_value(value));
  if (value.is(Kind::real) && !rule.allows("number") && rule.allows("int")) value = Value::of_integer(static_cast<int64_t>(value.real));
}

// Parts in braces are formulas whose values are shown: "p must lie in 0..1, not {p}".
std::string fill_message(const std::string& message, Evaluator& evaluator, Env& env, Loc loc) {
  std::string out;
  for (size_t at = 0; at < message.size();) {
    size_t open = message.find('{', at), close = open == std::string::npos ? open : message.find('}', open);
    if (close == std::string::npos) return out + message.substr(at);
    out += message.substr(at, open - at);
    out += show_value(evaluator.eval(parse_formula(std::string_view(message).substr(open + 1, close - open - 1), loc), env));
    at = close + 1;
  }
  return out;
}

// A condition on the input's shape: the layers before it explain its failure.
bool reads_input(const Expr& e) {
  if (e.kind == Expr::Kind::name && e.name == "in") return true;
  return std::any_of(e.kids.begin(), e.kids.end(), [](const ExprPtr& kid) { return kid && reads_input(*kid); }) ||
         std::any_of(e.arguments.begin(), e.arguments.end(), [](const Argument& a) { return reads_input(*a.value); });
}

}  // namespace

void Evaluator::bind(const Definition& d, const std::vector<Given>& given, Env& out, Loc loc) {
  const auto& parameters = d.signature.parameters;
  std::vector<std::string> names;
  for (const Signature::Parameter& p : parameters) names.push_back(p.name);
  size_t place = 0;
  for (const Given& g : given) {
    std::string name = g.name;
    if (name.empty()) {
      if (place >= parameters.size())
        throw SpecError(g.loc, d.name() + " takes " + std::to_string(parameters.size()) +
                                   (parameters.size() == 1 ? " argument, not " : " arguments, not ") + std::to_string(given.size()));
      name = names[place++];
    } else if (std::find(names.begin(), names.end(), name) == names.end()) {
      std::vector<std::string> rest(names.begin() + static_cast<std::ptrdiff_t>(place), names.end());
      std::string why = needless(name);
      std::string known = !why.empty() ? "; " + why : rest.empty() ? "; it takes none" : "; it takes " + join(rest, ", ");
      throw SpecError(misnamed(g.loc, "unknown argument '" + name + "' of " + d.name(), suggest(name, names), known));
    }
    if (out.has(name)) throw SpecError(g.loc, "argument '" + name + "' of " + d.name() + " is given twice");
    Value value = g.value;
    check_argument(d, name, value, g.loc);
    out.set(name, std::move(value), g.loc);
  }
  for (const Signature::Parameter& p : parameters) {
    if (out.has(p.name)) continue;
    if (!p.fallback) throw SpecError(loc, d.name() + " needs '" + p.name + "'");
    out.set(p.name, eval(p.fallback, out));
  }
}

// The value that a requirement is about: the first given argument that its message shows, or that its condition names.
Loc Evaluator::argument_at_fault(const Requirement& r, Env& env, Loc loc) {
  auto given = [&](const std::string& name) {
    Env::Entry* entry = env.find(name);
    return entry ? entry->given : Loc{};
  };
  for (size_t open = r.message.find('{'); open != std::string::npos; open = r.message.find('{', open + 1))
    if (Loc at = given(r.message.substr(open + 1, r.message.find_first_of(".[}", open) - open - 1))) return at;
  std::vector<const Expr*> open = {r.condition.get()};
  while (!open.empty()) {
    const Expr& e = *open.back();
    open.pop_back();
    if (e.kind == Expr::Kind::name)
      if (Loc at = given(e.name)) return at;
    for (auto a = e.arguments.rbegin(); a != e.arguments.rend(); ++a) open.push_back(a->value.get());
    for (auto kid = e.kids.rbegin(); kid != e.kids.rend(); ++kid)
      if (*kid) open.push_back(kid->get());
  }
  return loc;
}

void Evaluator::require(const Definition& d, Env& env, Loc loc) {
  for (const Requirement& r : d.requirements) {
    Value holds = eval(r.condition, env);
    if (holds.is(Kind::unknown) || truth_of(holds, loc, "a requirement")) continue;
    std::string text = d.name() + ": " + fill_message(r.message, *this, env, loc);
    std_loc_ = {};   // the message says it all: no place in the shipped file
    throw SpecError(
        {.loc = d.is_std ? argument_at_fault(r, env, loc) : r.condition->whole, .text = text, .shapes = reads_input(*r.condition)});
  }
}

// What is the class or number target of a loss must fit the output: one number meets one number by taking its shape,
// everything else must agree, so that nothing is broadcast by accident.
void Evaluator::match_target(const Definition& d, Env& names, Loc loc) {
  if (d.target == "any" || d.signature.parameters.size() < 2) return;
  std_loc_ = {};   // a mismatch is no fault of a formula
  const Value* x = lookup(d.signature.parameters[0].name, names, loc);
  const std::string& target_name = d.signature.parameters[1].name;
  const Value* y = lookup(target_name, names, loc);
  if (!x || !y || !x->is(Kind::tensor) || !y->is(Kind::tensor)) return;
  Builder& b = builder();
  Shape output = b.sample_shape(x->tensor), target = b.sample_shape(y->tensor);
  auto column_it = context_.columns.find(y->tensor);
  const ColumnSchema* column = column_it == context_.columns.end() ? nullptr : column_it->second;
  std::string target_text = column ? "the target '" + column->name + "'" : "the target";
  auto classes = [&] { return static_cast<int64_t>(column->classes.size()); };
  // A target that takes the output's shape is the same column.
  auto take_shape = [&](const Shape& shape) {
    ValueId reshaped = b.reshape(y->tensor, shape);
    if (column) context_.columns[reshaped] = column;
    names.set(target_name, Value::of_tensor(reshaped));
  };
  auto mismatch = [&](const std::string& text, bool chain = false) {
    SpecError error(loc, text);
    std::string kind =
        column && column->meaning == ColumnSchema::Meaning::index ? "  (index of " + std::to_string(classes()) + " classes)" : "";
    error.diagnostic.lines = {"output  " + format_shape(output), "target  " + format_shape(target) + kind};
    if (chain) add_shape_chain(context_, "", {}, error.diagnostic);
    throw error;
  };
  if (d.target == "number") {
    bool index = column && column->meaning == ColumnSchema::Meaning::index;
    if (index && classes() > 2) mismatch(d.name() + " needs a number target; " + target_text + " is the index of a class");
    if (output == target) return;
    if (element_count(output) == 1 && element_count(target) == 1) {
      take_shape(output);
      return;
    }
    mismatch(d.name() + " needs an output of the target's shape", true);
  }
  if (is_float(context_.graph.type(y->tensor).dtype)) mismatch(d.name() + " needs class indices; " + target_text + " holds numbers");
  const Value* dim = lookup("dim", names, loc);
  int64_t rank = static_cast<int64_t>(output.size()), axis = dim && dim->is(Kind::integer) ? dim->whole : -1;
  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis >= rank) mismatch(d.name() + " needs an output with a class axis");
  Shape rest = output;
  rest.erase(rest.begin() + axis);
  int64_t outputs = output[static_cast<size_t>(axis)];
  if (column && column->meaning == ColumnSchema::Meaning::index) {
    if (outputs < classes())
      mismatch(d.name() + " needs as many outputs as classes: " + std::to_string(classes()) + ", not " + std::to_string(outputs));
    if (outputs > classes())
      context_.diagnostics.warning(loc, "extra-outputs",
                                   "the output has " + std::to_string(outputs) + " classes, the target " + std::to_string(classes()));
  }
  if (rest != target) {
    if (element_count(rest) != 1 || element_count(target) != 1)
      mismatch(d.name() + " needs targets of the output's shape without its class axis", true);
    take_shape(rest);
  }
}

void Evaluator::stated_gradient(const Definition& d, std::shared_ptr<Env> names, const std::vector<std::string>& inputs, Value& result,
                                Loc loc) {
  CustomGradient gradient;
  std::vector<const NamedFormula*> rules;
  for (const std::string& input : inputs) {
    const Value* value = lookup(input, *names, loc);
    if (!value || !value->is(Kind::tensor)) continue;
    const NamedFormula* rule = nullptr;
    for (const NamedFormula& formula : d.grad)
      if (formula.first == input) rule = &formula;
    // The result must be a value of its own: a rule that hangs on an operand would catch its other uses too.
    if (value->tensor == result.tensor) result = Value::of_tensor(builder().unary(OpCode::stop_gradient, result.tensor));
    gradient.operands.push_back(value->tensor);
    rules.push_back(rule);
  }
  if (gradient.operands.empty() || !result.is(Kind::tensor)) return;
  gradient.result = result.tensor;
  ScopeId scope = builder().scope();
  gradient.rule = [this, &d, names, rules, loc, scope, operands = gradient.operands, value = result](ValueId cotangent) {
    return inside(d, loc, [&] {
      ScopeId former = builder().scope();
      builder().leave(scope);
      Env env(names.get());
      env.set("g", Value::of_tensor(cotangent));
      env.set("result", value);
      std::vector<ValueId> out;
      for (size_t i = 0; i < rules.size(); ++i)
        out.push_back(rules[i] ? sum_to(tensor(eval(rules[i]->second, env), loc), operands[i]) : kNoValue);
      builder().leave(former);
      return out;
    });
  };
  context_.gradients.push_back(std::move(gradient));
}

namespace {

// Names of a call, kept as long as a stated gradient may need them.
struct CallNames {
  Env arguments, let;
  explicit CallNames(Env* home) : arguments(home), let(&arguments) {}
};

}  // namespace

void Evaluator::lint(const Definition& d, ValueId input, Loc loc) {
  auto it = context_.producers.find(input);
  if (it == context_.producers.end()) return;
  const Producer& producer = it->second;
  for (const LintRule& rule : d.lints) {
    bool hit = std::find(rule.after.begin(), rule.after.end(), producer.op) != rule.after.end() ||
               (!rule.after_parameter.empty() && producer.parameters.count(rule.after_parameter));
    if (hit) context_.diagnostics.warning(producer.loc, rule.code, rule.message, {{loc, "'" + d.name() + "' stands here"}});
  }
}

// The first loss that is applied to an output says what the output means.
void Evaluator::note_use(const Definition& d, Env& arguments, Loc loc) {
  if (d.signature.parameters.empty()) return;
  const Value* x = lookup(d.signature.parameters[0].name, arguments, loc);
  if (!x || !x->is(Kind::tensor)) return;
  for (const OutputValue& output : context_.outputs) {
    if (output.value != x->tensor) continue;
    auto [use, fresh] = context_.loss_uses.try_emplace(output.name);
    if (!fresh) return;
    use->second = {.definition = &d, .arguments = {}, .target = "", .loc = loc};
    for (const auto& [name, entry] : arguments.own())
      if (!entry.value.is(Kind::tensor)) use->second.arguments[name] = entry.value;
    const Value* y = d.signature.parameters.size() > 1 ? lookup(d.signature.parameters[1].name, arguments, loc) : nullptr;
    if (auto column = y && y->is(Kind::tensor) ? context_.columns.find(y->tensor) : context_.columns.end();
        column != context_.columns.end() && column->second->target)
      use->second.target = column->second->name;
    lint(d, x->tensor, loc);
    return;
  }
}

void Evaluator::lint(const Definition& d, Env& env, Loc loc) {
  for (const LintRule& rule : d.lints) {
    if (!rule.when) continue;
    Value holds = eval(rule.when, env);
    if (!holds.is(Kind::unknown) && truth_of(holds, loc, "'when' of a lint")) context_.diagnostics.warning(loc, rule.code, rule.message);
  }
}

Value Evaluator::call(const Definition& d, const std::vector<Given>& given, Loc loc) {
  return inside(d, loc, [&] {
    auto names = std::make_shared<CallNames>(d.is_std ? nullptr : context_.vars);
    if (d.faulty) return Value::make_unknown();
    bind(d, given, names->arguments, loc);
    for (const Given& g : given)
      if (g.value.is(Kind::unknown)) return Value::make_unknown();
    if (d.is_loss()) {
      note_use(d, names->arguments, loc);
      match_target(d, names->arguments, loc);
    }
    for (const auto& [name, formula] : d.let) names->let.set_lazy(name, formula, &names->let);
    require(d, names->let, loc);
    Value result = eval(d.result, names->let);
    if (!d.grad.empty() && result.is(Kind::tensor)) {
      std::vector<std::string> inputs;
      for (const Signature::Parameter& p : d.signature.parameters) inputs.push_back(p.name);
      stated_gradient(d, std::shared_ptr<Env>(names, &names->let), inputs, result, loc);
    }
    std::vector<std::pair<std::string, Value>> operands;
    for (const auto& [name, entry] : names->arguments.own()) operands.emplace_back(name, entry.value);
    context_.add_use(d, loc, operands, result);
    return result;
  });
}

}  // namespace mlc
