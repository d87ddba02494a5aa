#include "compiler/model/arguments.h"
#include "compiler/spec/spec.h"

#include "compiler/base/text.h"

#include <algorithm>

namespace mlc {

std::optional<std::string> argument_text(const Node& node, const ArgumentRule& rule, const std::function<bool(const std::string&)>& known,
                                         const std::function<std::vector<std::string>()>& names, Loc place) {
  const std::string& text = node.text;
  bool word = std::find(rule.words.begin(), rule.words.end(), text) != rule.words.end();
  bool only_text = rule.types == std::vector<std::string>{"text"} || (rule.types.empty() && !rule.words.empty());
  bool bare = !looks_like_formula(text);
  if (word || (only_text && bare && !known(text))) return text;
  static const std::vector<std::string> builtins = {"none", "true", "false", "inf", "pi", "train"};
  bool unknown = bare && !known(text) && !std::count(builtins.begin(), builtins.end(), text);
  // A name that nothing has, close to one of the words, is that word misspelt.
  if (std::string near = unknown ? suggest(text, rule.words) : ""; !near.empty())
    throw SpecError(misnamed(place, "unknown word '" + text + "'", near));
  // Else, unless it is near a name, it stays text: the argument then says what it takes.
  bool typed = !rule.types.empty() && !rule.allows("steps") && !rule.allows("formula");
  if (unknown && typed && is_identifier(text) && nearest(text, names()).empty()) return text;
  return std::nullopt;
}

Value read_argument(const Node& node, const ArgumentRule* rule, Env& env, Evaluator& evaluator) {
  switch (node.kind) {
  case Node::Kind::null: return {};
  case Node::Kind::boolean: return Value::of_flag(node.boolean());
  case Node::Kind::integer: return Value::of_integer(node.integer());
  case Node::Kind::real: return Value::of_real(node.number());
  case Node::Kind::list: {
    std::vector<Value> items;
    for (const Node& item : node.items) items.push_back(read_argument(item, rule, env, evaluator));
    return Value::of_list(std::move(items));
  }
  case Node::Kind::map: throw SpecError(evaluator.place(node.loc), "a value is needed here, not a map");
  case Node::Kind::text: break;
  }
  if (rule) {
    std::optional<std::string> text = argument_text(
        node, *rule, [&](const std::string& name) { return env.find(name) != nullptr; }, [&] { return env.names(); },
        evaluator.place(node.loc));
    if (text) return Value::of_text(*text);
  }
  return evaluator.eval(parse_formula(node), env);
}

TypedSetting read_typed(const std::string& key, const Node& node) {
  if (node.is(Node::Kind::text)) return {.type = node.text, .loc = node.loc};
  if (!node.is(Node::Kind::map)) throw SpecError(node.loc, "'" + key + "' is a name or a map with 'type', not " + kind_name(node.kind));
  const Node* type = node.find("type");
  if (!type) throw SpecError(node.entries.empty() ? node.loc : node.entries[0].first.loc, "'" + key + "' needs 'type', its name");
  if (!type->is(Node::Kind::text)) throw SpecError(type->loc, "'type' must be a name, not " + kind_name(type->kind));
  return {.type = type->text, .loc = type->loc, .map = &node};
}

const Definition& find_typed(Library& library, DefinitionKind kind, const TypedSetting& setting) {
  if (const Definition* d = library.find(kind, setting.type, setting.loc.file)) return *d;
  std::vector<std::string> names = library.names(kind);
  if (kind == DefinitionKind::schedule) names.emplace_back("formula");
  std::string near = suggest(setting.type, names), known;
  if (near.empty() && names.size() <= 16) known = "; they are " + join(names, ", ");
  throw SpecError(misnamed(setting.loc, "unknown " + std::string(kind_name(kind)) + " '" + setting.type + "'", near, known));
}

std::vector<Given> typed_arguments(const Definition& d, const TypedSetting& setting, const std::vector<std::string>& reserved, Env& env,
                                   Evaluator& evaluator) {
  std::vector<Given> given;
  if (!setting.map) return given;
  for (const auto& [key, node] : setting.map->entries) {
    if (key.text == "type" || std::find(reserved.begin(), reserved.end(), key.text) != reserved.end()) continue;
    bool known = std::any_of(d.signature.parameters.begin(), d.signature.parameters.end(),
                             [&, &name = key.text](const auto& p) { return p.name == name; });
    auto rule = d.arguments.find(key.text);
    // The value of an argument that does not exist is not looked at: one fault, one message.
    Value value = known ? read_argument(node, rule == d.arguments.end() ? nullptr : &rule->second, env, evaluator) : Value();
    given.push_back({key.text, std::move(value), known ? node.loc : key.loc});
  }
  return given;
}

}  // namespace mlc
