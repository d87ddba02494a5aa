#include "compiler/model/items.h"

#include "compiler/base/text.h"
#include "compiler/model/arguments.h"
#include "compiler/model/definition_names.h"
#include "compiler/model/entries.h"
#include "compiler/model/lints.h"
#include "compiler/model/primitives.h"
#include "compiler/spec/spec.h"

#include <algorithm>

namespace mlc {
namespace {

using Kind = Value::Kind;

constexpr int kMostNesting = 200;
constexpr size_t kMostLayers = 100'000;

// "linear(500)": the op with its main argument, for tables.
std::string title(const Item& item) {
  if (!item.value || item.op == "layers" || item.op == "residual") return item.op;
  const Node* shown = item.value;
  if (shown->is(Node::Kind::map)) shown = shown->entries.empty() ? nullptr : &shown->entries[0].second;
  if (!shown || shown->is(Node::Kind::map)) return item.op;
  if (shown->is_scalar()) return item.op + "(" + shown->text + ")";
  std::vector<std::string> parts;
  for (const Node& part : shown->items) parts.push_back(part.text);
  return item.op + "(" + join(parts, ", ") + ")";
}

}  // namespace

Value Items::run(const Node& list, ItemScope& scope, Value input, bool transforms) {
  if (!list.is(Node::Kind::list))
    throw SpecError(evaluator_.place(list.loc), "a list of items is needed here, not " + kind_name(list.kind));
  if (scope.depth > kMostNesting) throw SpecError(evaluator_.place(list.loc), "items are nested deeper than 200 levels");
  for (const Node& node : list.items) {
    // Inside a definition the first fault ends the use of it: its place is the definition's, its note the use.
    if (evaluator_.in_definition()) {
      input = run_item(read_item(node), scope, input, transforms);
      continue;
    }
    try {
      input = run_item(read_item(node), scope, input, transforms);
    } catch (const SpecError& error) {
      context_.diagnostics.report(error.diagnostic);
      input = Value::make_unknown();
      // Names that this item would have given are unknown too, so that later uses of them say nothing.
      if (const Node* as = node.find("as"); as && as->is(Node::Kind::text) && !scope.env.has(as->text)) scope.env.set(as->text, input);
    }
  }
  return input;
}

Value Items::run_item(const Item& item, ItemScope& scope, const Value& input, bool transforms) {
  if (item.on) {
    const std::string& on = item.on->text;
    if (!transforms) throw SpecError(evaluator_.place(item.on->loc), "'on' goes with transforms only");
    if (on != "train" && on != "eval" && on != "all") throw SpecError(evaluator_.place(item.on->loc), "'on' must be train, eval or all");
    if (on != "all" && (on == "train") != context_.train()) return input;
  } else if (transforms && item.op.starts_with("random_") && !context_.train()) {
    return input;
  }
  Env env(&scope.env);
  env.set("in", input);
  auto formula = [&](const Node& node) { return evaluator_.eval(parse_formula(node), env); };
  if (item.condition) {
    Value holds = formula(*item.condition);
    if (holds.is(Kind::unknown)) return holds;
    if (!truth_of(holds, evaluator_.place(item.condition->loc), "'if'")) return input;
  }
  if (!item.repeat) return once(item, scope, input, -1, transforms);
  const Node* count = item.repeat;
  std::string index = "i";
  if (count->is(Node::Kind::map)) {
    if (count->entries.size() != 1) throw SpecError(evaluator_.place(count->loc), "'repeat' is a number, or {name: number}");
    index = count->entries[0].first.text;
    count = &count->entries[0].second;
  }
  if (!count->is_scalar()) throw SpecError(evaluator_.place(count->loc), "'repeat' must be an integer, not " + kind_name(count->kind));
  int64_t n = integer_of(formula(*count), evaluator_.place(count->loc), "'repeat'");
  if (n < 0) throw SpecError(evaluator_.place(count->loc), "'repeat' must not be negative; it is " + std::to_string(n));
  if (n > static_cast<int64_t>(kMostLayers) - static_cast<int64_t>(context_.rows.size()))
    throw SpecError(evaluator_.place(count->loc), "'repeat' " + std::to_string(n) + " times makes more than 100,000 layers; repeat less");
  Value value = input;
  Env::Entry* shadowed = scope.env.has(index) ? scope.env.find(index) : nullptr;
  Value former = shadowed ? shadowed->value : Value();
  // Behind a repetition with faults, the others would have the same; their names are unknown, so that uses of them say nothing.
  size_t faults = context_.diagnostics.errors();
  auto rest_is_unknown = [&](int64_t i) {
    for (; item.as && i < n; ++i)
      if (std::string name = item.as->text + std::to_string(i + 1); !scope.env.has(name)) scope.env.set(name, Value::make_unknown());
  };
  for (int64_t i = 0; i < n; ++i) {
    scope.env.set(index, Value::of_integer(i));
    try {
      value = once(item, scope, value, i, transforms);
    } catch (const SpecError&) {
      rest_is_unknown(i);
      throw;
    }
    if (context_.diagnostics.errors() == faults) continue;
    rest_is_unknown(i + 1);
    break;
  }
  if (shadowed) scope.env.set(index, former);
  else scope.env.erase(index);
  return value;
}

std::string Items::name_item(const Item& item, ItemScope& scope, int64_t repetition) {
  std::string name;
  if (item.as) {
    check_given_name(*item.as, "'as'");
    name = item.as->text + (repetition >= 0 ? std::to_string(repetition + 1) : "");
  } else {
    name = item.op + std::to_string(++scope.counts[item.op]);
  }
  Loc loc = evaluator_.place(item.as ? item.as->loc : item.loc);
  auto [first, fresh] = scope.taken.insert({name, loc});
  if (!fresh) throw SpecError(loc, "the name '" + name + "' is taken in this scope", {{first->second, "first defined here"}});
  return name;
}

Value Items::named(const std::string& name, ItemScope& scope, Loc loc) {
  const Value* value = evaluator_.lookup(name, scope.env, loc);
  if (value && (value->is(Kind::tensor) || value->is(Kind::unknown))) return *value;
  // What a faulty item would have named within is unknown like the item.
  const Value* head = value ? nullptr : evaluator_.lookup(name.substr(0, name.find('.')), scope.env, loc);
  if (head && head->is(Kind::unknown)) return *head;
  if (value && value->names)
    throw SpecError(loc, "'" + name + "' has several outputs; name one of " + name + "." + join(*value->names, ", " + name + "."));
  std::vector<std::string> names;
  for (const std::string& candidate : scope.env.names())
    if (Env::Entry* e = scope.env.find(candidate); e->state == Env::Entry::State::done && e->value.is(Kind::tensor))
      names.push_back(candidate);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string known = names.empty() ? "; no value has a name here" : "; values are named by 'as': " + join(names, ", ");
  throw SpecError(misnamed(loc, "unknown value '" + name + "'", suggest(name, names), known));
}

Value Items::once(const Item& item, ItemScope& scope, const Value& input, int64_t repetition, bool transforms) {
  Call call(item, scope);
  Loc loc = evaluator_.place(item.loc);
  call.name = name_item(item, scope, repetition);
  call.path = scope.prefix + call.name;
  bool lists_inputs = item.value && (item.op == "add" || item.op == "mul" || item.op == "matmul") && item.value->is(Node::Kind::list);
  const Node* from = item.from ? item.from : lists_inputs ? item.value : nullptr;
  auto given = [&](const Node& name) { return name.text == "in" ? input : named(name.text, scope, evaluator_.place(name.loc)); };
  if (from && from->is(Node::Kind::list)) {
    for (const Node& name : from->items) call.inputs.push_back(given(name));
    if (call.inputs.empty()) throw SpecError(evaluator_.place(from->loc), "'from' names no value");
  } else if (from) {
    call.inputs.push_back(given(*from));
  } else {
    call.inputs.push_back(input);
  }
  for (const Value& value : call.inputs)
    if (value.names && item.op != "expr")
      throw SpecError(loc, "what stands before has several outputs (" + join(*value.names, ", ") +
                               "): name it by 'as: NAME', and take one with 'from: NAME." + value.names->front() + "'");
  call.env.set("in", call.inputs[0]);
  if (context_.full) return Value::make_unknown();
  context_.full = context_.rows.size() >= kMostLayers;
  if (context_.full) throw SpecError(loc, "the model has more than 100,000 layers; 'repeat' less");

  size_t row = context_.rows.size();
  bool listed = !transforms && !context_.again;
  if (listed) context_.rows.push_back({.path = call.path, .op = title(item), .depth = scope.depth, .loc = loc});
  int64_t before = context_.parameters;
  ScopeId former = context_.builder.enter(call.path, loc);
  context_.builder.at(loc);
  auto leave = [&] { context_.builder.leave(former); };
  Value value;
  try {
    value = apply(call, transforms);
  } catch (SpecError& error) {
    leave();
    // A fault within a shipped definition is the user's item's: its inner layers tell nothing.
    if (error.diagnostic.shapes && !evaluator_.in_std()) add_shape_chain(context_, call.path, input, error.diagnostic);
    throw;
  }
  leave();
  if (listed) {
    context_.rows[row].parameters = context_.parameters - before;
    if (value.is(Kind::tensor)) context_.rows[row].output = context_.builder.sample_shape(value.tensor);
  }
  if (item.as) scope.env.set(call.name, value);
  for (size_t i = 0; item.as && value.names && i < value.names->size(); ++i)
    scope.env.set(call.name + "." + (*value.names)[i], (*value.list)[i]);
  return value;
}

void Items::remember(Call& call, const Value& value) {
  if (value.is(Kind::tensor) && !context_.producers.count(value.tensor))
    context_.producers[value.tensor] = {call.item.op, call.path, evaluator_.place(call.item.loc), own_, evaluator_.in_std()};
}

Value Items::apply(Call& call, bool transforms) {
  const std::string& op = call.item.op;
  Loc loc = evaluator_.place(call.item.loc);
  bool unknown = std::any_of(call.inputs.begin(), call.inputs.end(), [](const Value& v) { return v.is(Kind::unknown); });
  if (is_structural(op)) return structural(call);
  const ItemOp found = find_item_op(context_.library, op, call.item.loc.file, transforms);
  if (!found) throw unknown_op(op, call.item.loc, loc, transforms, context_.library);
  const Definition* d = found.definition;
  if (!found.takes_inputs()) {
    if (d->faulty) return Value::make_unknown();
    std::vector<Given> given = given_of(call, d, found.parameters(), 0);
    unknown |= std::any_of(given.begin(), given.end(), [](const Given& g) { return g.value.is(Kind::unknown); });
    if (unknown) {
      Env names(d->is_std ? nullptr : context_.vars);
      evaluator_.bind(*d, given, names, loc);
      return Value::make_unknown();
    }
    std::set<std::string> outer;
    outer.swap(own_);
    Value value = apply_block(call, *d, given);
    remember(call, value);
    own_ = outer;
    return value;
  }
  if (call.item.init) throw SpecError(evaluator_.place(call.item.init->loc), "'" + op + "' has no parameters to initialise");
  if (d && d->faulty) return Value::make_unknown();
  const std::vector<std::string> parameters = found.parameters();
  std::vector<Given> given;
  for (const Value& input : call.inputs) given.push_back({"", input, loc});
  for (Given& g : given_of(call, d, parameters, call.inputs.size())) given.push_back(std::move(g));
  if (unknown) {
    Env names(d && !d->is_std ? context_.vars : nullptr);
    if (d) evaluator_.bind(*d, given, names, loc);
    return Value::make_unknown();
  }
  if (d) check_input(call, *d);
  Value value = d ? evaluator_.call(*d, given, loc) : apply_primitive(*found.primitive, evaluator_, given, loc);
  if (!value.is(Kind::tensor)) throw SpecError(loc, "'" + op + "' gives no tensor here but " + show_value(value));
  std::set<std::string> outer;
  outer.swap(own_);
  remember(call, value);
  own_ = outer;
  return value;
}

std::vector<Given> Items::given_of(Call& call, const Definition* d, const std::vector<std::string>& parameters, size_t inputs) {
  std::vector<Given> given;
  const Node* value = call.item.value;
  if (!value) return given;
  auto rule_of = [&](const std::string& name) -> const ArgumentRule* {
    if (!d) return nullptr;
    auto it = d->arguments.find(name);
    return it == d->arguments.end() ? nullptr : &it->second;
  };
  std::string main = inputs < parameters.size() ? parameters[inputs] : "";
  if (!value->is(Node::Kind::map) && main.empty()) throw SpecError(evaluator_.place(value->loc), call.item.op + " takes no argument");
  for (size_t i = inputs + 1; d && value->is(Node::Kind::list) && i < parameters.size(); ++i)
    if (!d->signature.parameters[i].fallback)
      throw SpecError(evaluator_.place(value->loc), call.item.op + " needs '" + parameters[i] + "'; a list is the value of '" + main +
                                                        "' alone, several arguments are named: {" + main + ": ..., " + parameters[i] +
                                                        ": ...}");
  const Node arguments = named_arguments(*value, main);
  for (const auto& [key, node] : arguments.entries) {
    bool known = std::find(parameters.begin(), parameters.end(), key.text) != parameters.end();
    bool tied = !known && d &&
                std::any_of(d->params.begin(), d->params.end(), [&, &name = key.text](const TensorRule& r) { return r.name == name; });
    if (tied) continue;
    // The value of an argument that does not exist is not looked at: one fault, one message.
    Value v = known ? read_argument(node, rule_of(key.text), call.env, evaluator_) : Value();
    given.push_back({key.text, std::move(v), evaluator_.place(known ? node.loc : key.loc)});
  }
  return given;
}

}  // namespace mlc
