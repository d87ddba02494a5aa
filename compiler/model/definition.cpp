#include "compiler/model/definition.h"

#include "compiler/base/text.h"

#include <algorithm>

namespace mlc {

const std::vector<std::string>& keys_of(DefinitionKind kind) {
  static const std::vector<std::string> function = {"doc", "extends", "args",   "require", "input", "let",
                                                    "y",   "grad",    "target", "predict", "lints"};
  static const std::vector<std::string> block = {"doc",   "extends", "args",   "require", "input",  "let",     "params",
                                                 "state", "y",       "update", "inputs",  "layers", "outputs", "lints"};
  static const std::vector<std::string> optimizer = {"doc", "extends", "args", "require", "let", "state", "step"};
  static const std::vector<std::string> schedule = {"doc", "extends", "args", "require", "let", "lr", "state", "update", "each"};
  static const std::vector<std::string> transform = {"doc", "extends", "args", "require", "input", "let", "params", "state", "y", "fit"};
  switch (kind) {
  case DefinitionKind::function: return function;
  case DefinitionKind::block: return block;
  case DefinitionKind::optimizer: return optimizer;
  case DefinitionKind::schedule: return schedule;
  case DefinitionKind::transform: return transform;
  }
  throw InternalError("unknown kind of definition");
}

namespace {

std::string must_be(const std::string& key, const std::string& what, const Node& found) {
  return "'" + key + "' must be " + what + ", not " + kind_name(found.kind);
}

const Node& require_map(const std::string& key, const Node& node) {
  if (!node.is(Node::Kind::map)) throw SpecError(node.loc, must_be(key, "a map", node));
  return node;
}

ExprPtr formula_of(const std::string& key, const Node& node) {
  if (!node.is_scalar() || node.is(Node::Kind::null)) throw SpecError(node.loc, must_be(key, "a formula", node));
  return parse_formula(node);
}

std::vector<NamedFormula> formulas_of(const std::string& key, const Node& node) {
  std::vector<NamedFormula> out;
  for (const auto& [name, formula] : require_map(key, node).entries) out.emplace_back(name.text, formula_of(name.text, formula));
  return out;
}

std::string text_field(const std::string& key, const Node& node) {
  if (!node.is(Node::Kind::text)) throw SpecError(node.loc, must_be(key, "text", node));
  return node.text;
}

std::vector<std::string> names_of(const std::string& key, const Node& node) {
  std::vector<std::string> out;
  if (node.is(Node::Kind::map)) {
    for (const auto& [name, shape] : node.entries) out.push_back(name.text);
  } else if (node.is(Node::Kind::list)) {
    for (const Node& name : node.items) out.push_back(text_field(key, name));
  } else {
    out.push_back(text_field(key, node));
  }
  return out;
}

void read_outputs(const Node& node, Definition& d) {
  if (node.is(Node::Kind::map))
    for (const auto& [name, value] : node.entries) d.outputs.emplace_back(name.text, text_field("outputs", value));
  else
    for (std::string& name : names_of("outputs", node)) d.outputs.emplace_back(name, name);
}

void read_arguments(const Node& node, Definition& d) {
  static const std::vector<std::string> types = {"int", "number", "flag", "text", "list", "tensor", "steps", "formula", "none"};
  for (const auto& [key, rule] : require_map("args", node).entries) {
    bool known = std::any_of(d.signature.parameters.begin(), d.signature.parameters.end(),
                             [&, &name = key.text](const auto& p) { return p.name == name; });
    if (!known) throw SpecError(key.loc, "'" + key.text + "' is no argument of " + d.name());
    ArgumentRule& out = d.arguments[key.text];
    for (const auto& [field, value] : require_map(key.text, rule).entries) {
      if (field.text == "doc") out.doc = text_field("doc", value);
      else if (field.text == "words") out.words = names_of("words", value);
      else if (field.text == "type") {
        out.types = split(text_field("type", value), '|');
        for (std::string& type : out.types) {
          type = std::string(trim(type));
          if (std::find(types.begin(), types.end(), type) == types.end())
            throw SpecError(value.loc, "unknown type '" + type + "' of an argument; types are " + join(types, ", "));
        }
      } else {
        throw SpecError(field.loc, "unknown key '" + field.text + "' of an argument; keys are type, words, doc");
      }
    }
  }
}

void read_input(const Node& node, Definition& d) {
  for (const auto& [key, value] : require_map("input", node).entries) {
    if (key.text == "rank" && value.is(Node::Kind::integer)) d.input_rank = value.integer();
    else if (key.text == "dtype" && (value.text == "float" || value.text == "int" || value.text == "any")) d.input_dtype = value.text;
    else if (key.text == "is") d.input_text = text_field("is", value);
    else throw SpecError(key.loc, "'input' takes rank (an integer), dtype (float, int or any) and is (text)");
  }
}

std::vector<TensorRule> read_tensors(const std::string& section, const Node& node) {
  std::vector<TensorRule> out;
  for (const auto& [key, body] : require_map(section, node).entries) {
    TensorRule rule{.name = key.text, .loc = key.loc};
    for (const auto& [field, value] : require_map(key.text, body).entries) {
      if (field.text == "shape") rule.shape = value;
      else if (field.text == "init") rule.init = value;
      else if (field.text == "if") rule.condition = formula_of("if", value);
      else if (field.text == "else") rule.stand_in = formula_of("else", value);
      else throw SpecError(field.loc, "unknown key '" + field.text + "' of a tensor; keys are shape, init, if, else");
    }
    if (rule.condition && !rule.stand_in)
      throw SpecError(key.loc, "'" + key.text + "' has an 'if' and needs an 'else': what stands for it where there is none");
    out.push_back(std::move(rule));
  }
  return out;
}

void read_predict(const Node& node, Definition& d) {
  if (!node.is(Node::Kind::map)) {
    d.prediction = "value";
    d.predict = formula_of("predict", node);
    return;
  }
  for (const auto& [key, value] : node.entries) {
    if (key.text == "dim") {
      d.predict_dim = formula_of("dim", value);
    } else if (key.text == "probability" || key.text == "value") {
      d.prediction = key.text;
      d.predict = formula_of(key.text, value);
    } else {
      throw SpecError(key.loc, "'predict' takes probability (with dim) or value");
    }
  }
}

void read_lints(const Node& node, Definition& d) {
  for (const auto& [key, body] : require_map("lints", node).entries) {
    LintRule rule{.code = key.text};
    for (const auto& [field, value] : require_map(key.text, body).entries) {
      if (field.text == "after") rule.after = names_of("after", value);
      else if (field.text == "after_parameter") rule.after_parameter = text_field("after_parameter", value);
      else if (field.text == "when") rule.when = parse_formula(value);
      else if (field.text == "message") rule.message = text_field("message", value);
      else throw SpecError(field.loc, "a lint takes after, after_parameter, when and message");
    }
    d.lints.push_back(std::move(rule));
  }
}

void read_key(const std::string& key, const Node& value, Definition& d) {
  if (key == "doc") d.doc = text_field(key, value);
  else if (key == "args") read_arguments(value, d);
  else if (key == "input") read_input(value, d);
  else if (key == "let") d.let = formulas_of(key, value);
  else if (key == "params") d.params = read_tensors(key, value);
  else if (key == "state") d.state = read_tensors(key, value);
  else if (key == "y") d.result = formula_of(key, value);
  else if (key == "layers") d.items = &value;
  else if (key == "inputs") d.inputs = names_of(key, value);
  else if (key == "outputs") read_outputs(value, d);
  else if (key == "grad") d.grad = formulas_of(key, value);
  else if (key == "update") d.update = formulas_of(key, value);
  else if (key == "step") d.step = formulas_of(key, value);
  else if (key == "lr") d.rate = formula_of(key, value);
  else if (key == "predict") read_predict(value, d);
  else if (key == "lints") read_lints(value, d);
  else if (key == "fit") d.fit = value.is(Node::Kind::boolean) && value.boolean();
  else if (key == "require") {
    for (const auto& [condition, message] : require_map(key, value).entries)
      d.requirements.push_back({parse_formula(condition), text_field(condition.text, message), message.loc});
  } else if (key == "target") {
    d.target = text_field(key, value);
    if (d.target != "index" && d.target != "number" && d.target != "any")
      throw SpecError(value.loc, "'target' must be index, number or any");
  } else if (key == "each") {
    d.each = text_field(key, value);
    if (d.each != "step" && d.each != "epoch" && d.each != "validation")
      throw SpecError(value.loc, "'each' must be step, epoch or validation");
  }
}

// Lines that name something of the definition must name something that is there.
void check_names(const Node& body, const char* section, const std::vector<std::string>& known, const std::string& what) {
  const Node* map = body.find(section);
  if (!map) return;
  for (const auto& [name, formula] : map->entries) {
    if (std::find(known.begin(), known.end(), name.text) != known.end()) continue;
    throw SpecError(misnamed(name.loc, "'" + name.text + "' is no " + what, nearest(name.text, known),
                             known.empty() ? "; it has none" : "; it has " + join(known, ", ")));
  }
}

void check_complete(const Node& key, const Definition& d) {
  auto need = [&](bool ok, const char* what) {
    if (!ok) throw SpecError(key.loc, std::string(kind_name(d.kind)) + " '" + d.name() + "' needs " + what);
  };
  switch (d.kind) {
  case DefinitionKind::function: return need(d.result != nullptr, "'y', its result");
  case DefinitionKind::transform: return need(d.result != nullptr, "'y', its result");
  case DefinitionKind::block:
    need(d.result || d.items, "'y' (a formula) or 'layers' (items)");
    for (const char* own : {"y", "params", "state", "update"})
      if (const Node* beside = d.items && d.body->is(Node::Kind::map) ? d.body->find_key(own) : nullptr)
        throw SpecError(beside->loc, "'" + std::string(own) + "' goes with a block of formulas; this one has 'layers'");
    if (const Node* beside = !d.items && d.body->is(Node::Kind::map) ? d.body->find_key("outputs") : nullptr)
      throw SpecError(beside->loc, "'outputs' goes with 'layers'; this block has one result, 'y'");
    return;
  case DefinitionKind::optimizer:
    return need(std::any_of(d.step.begin(), d.step.end(), [](const NamedFormula& f) { return f.first == "p"; }),
                "a line 'p' in 'step', the new parameter");
  case DefinitionKind::schedule: return need(d.rate != nullptr, "'lr', the rate of step k");
  }
}

}  // namespace

std::string_view kind_name(DefinitionKind kind) {
  switch (kind) {
  case DefinitionKind::function: return "function";
  case DefinitionKind::block: return "block";
  case DefinitionKind::optimizer: return "optimizer";
  case DefinitionKind::schedule: return "schedule";
  case DefinitionKind::transform: return "transform";
  }
  throw InternalError("unknown kind of definition");
}

bool ArgumentRule::allows(std::string_view type) const {
  return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
}

Definition read_definition(DefinitionKind kind, const Node& key, const Node& body, bool is_std) {
  Definition d;
  d.kind = kind;
  d.is_std = is_std;
  d.file = key.loc.file;
  d.body = &body;
  d.signature = parse_signature(key);
  if (body.is(Node::Kind::list)) {
    if (body.items.empty()) throw SpecError(body.loc, "block '" + d.name() + "' has no items");
    if (kind != DefinitionKind::block) throw SpecError(body.loc, "only a block can be a list of items");
    d.items = &body;
  } else if (body.is(Node::Kind::map)) {
    const std::vector<std::string>& keys = keys_of(kind);
    for (const auto& [name, value] : body.entries) {
      if (std::find(keys.begin(), keys.end(), name.text) == keys.end())
        throw SpecError(misnamed(name.loc, "unknown key '" + name.text + "' of " + std::string(kind_name(kind)) + " '" + d.name() + "'",
                                 nearest(name.text, keys), "; keys are " + join(keys, ", ")));
      read_key(name.text, value, d);
    }
  } else {
    (kind == DefinitionKind::schedule ? d.rate : d.result) = formula_of(d.name(), body);
  }
  if (body.is(Node::Kind::map)) {
    std::vector<std::string> arguments, states;
    for (const Signature::Parameter& p : d.signature.parameters) arguments.push_back(p.name);
    for (const TensorRule& rule : d.state) states.push_back(rule.name);
    check_names(body, "grad", arguments, "argument of " + d.name());
    check_names(body, "update", states, "state of " + d.name());
  }
  check_complete(key, d);
  return d;
}

}  // namespace mlc
