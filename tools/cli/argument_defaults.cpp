#include "tools/cli/argument_defaults.h"

#include "compiler/base/text.h"
#include "compiler/model/items.h"
#include "compiler/model/library.h"

#include <algorithm>
#include <optional>

namespace mlc {
namespace {

// Text that reading an argument takes for itself; nothing where it would be a formula.
std::optional<Node> text_default(const Expr& e, const ArgumentRule* rule) {
  if (!rule) return Node::make_text(print_formula(e));
  bool word = std::find(rule->words.begin(), rule->words.end(), e.name) != rule->words.end();
  bool only_text = rule->types == std::vector<std::string>{"text"} || rule->allows("steps");
  if (word || (only_text && !looks_like_formula(e.name))) return Node::make_text(e.name);
  return rule->types.empty() ? std::optional(Node::make_text(print_formula(e))) : std::nullopt;
}

Node number(const Expr& e, const std::string& sign) {
  Node n = e.integer ? Node::make_integer(0) : Node::make_real(0);
  n.text = sign + e.name;   // as the definition writes it
  return n;
}

// The value of a default wherever it is read: numbers, texts, flags, none and lists of them.
std::optional<Node> literal(const Expr& e, const ArgumentRule* rule) {
  switch (e.kind) {
  case Expr::Kind::number: return number(e, "");
  case Expr::Kind::unary:
    return e.name == "-" && e.kids[0]->kind == Expr::Kind::number ? std::optional(number(*e.kids[0], "-")) : std::nullopt;
  case Expr::Kind::text: return text_default(e, rule);
  case Expr::Kind::name: {
    if (e.name == "true" || e.name == "false") return Node::make_boolean(e.name == "true");
    bool word = rule && std::find(rule->words.begin(), rule->words.end(), e.name) != rule->words.end();
    return !word && (e.name == "none" || e.name == "inf" || e.name == "pi") ? std::optional(Node::make_text(e.name)) : std::nullopt;
  }
  case Expr::Kind::list: {
    std::vector<Node> items;
    for (const ExprPtr& kid : e.kids) {
      std::optional<Node> item = literal(*kid, nullptr);
      if (!item || kid->kind == Expr::Kind::list) return std::nullopt;
      items.push_back(*item);
    }
    return Node::make_list(std::move(items));
  }
  default: return std::nullopt;
  }
}

bool only_names(const Expr& e, const std::vector<std::string>& known) {
  if (e.kind == Expr::Kind::name && std::find(known.begin(), known.end(), e.name) == known.end()) return false;
  return e.kind != Expr::Kind::call &&
         std::all_of(e.kids.begin(), e.kids.end(), [&](const ExprPtr& k) { return k && only_names(*k, known); });
}

class Defaults {
public:
  Defaults(Library& library, bool remarks) : library_(library), remarks_(remarks) {}

  void spec(Node& spec) {
    if (Node* model = spec.find("model")) network(*model);
    for (const char* section : {"models", "blocks"})
      if (Node* map = spec.find(section); map && map->is(Node::Kind::map))
        for (auto& [name, body] : map->entries) network(body);
    if (Node* data = spec.find("data"); data && data->is(Node::Kind::map)) {
      transforms(data->find("transforms"));
      if (Node* fallback = data->find("fallback"); fallback && fallback->is(Node::Kind::map)) transforms(fallback->find("transforms"));
    }
    Node* train = spec.find("train");
    if (!train || !train->is(Node::Kind::map)) return;
    update(*train);
    if (Node* named = train->find("updates"))
      for (auto& [name, body] : named->entries) update(body);
  }

private:
  void network(Node& body) {
    if (body.is(Node::Kind::map)) items(body.find("layers"), false);
    else items(&body, false);
  }

  // A list, or one for each input.
  void transforms(Node* node) {
    if (!node || !node->is(Node::Kind::map)) return items(node, true);
    for (auto& [input, list] : node->entries) items(&list, true);
  }

  void update(Node& update) {
    if (!update.is(Node::Kind::map)) return;
    setting(update.find("optimizer"), DefinitionKind::optimizer);
    setting(update.find("schedule"), DefinitionKind::schedule);
    setting(update.find("loss"), DefinitionKind::function);
  }

  void items(Node* list, bool transforms) {
    if (!list || !list->is(Node::Kind::list)) return;
    for (Node& node : list->items) {
      try {
        item(node, transforms);
      } catch (const SpecError&) {}   // a malformed item stays as it is
    }
  }

  void item(Node& node, bool transforms) {
    const Item read = read_item(node);
    if (read.op == "layers" || read.op == "residual") {
      items(node.find(read.op), transforms);
      return items(node.find("shortcut"), transforms);
    }
    const ItemOp op = find_item_op(library_, read.op, read.loc.file, transforms);
    size_t inputs = op.takes_inputs() ? (read.from && read.from->is(Node::Kind::list) ? read.from->items.size() : 1) : 0;
    const std::vector<std::string> parameters = op.parameters();
    if (inputs >= parameters.size()) return;
    Node arguments = read.value ? named_arguments(*read.value, parameters[inputs]) : Node::make_map(read.loc, node.origin);
    size_t given = arguments.entries.size();
    if (op.definition) add(arguments, *op.definition, inputs, {});
    if (arguments.entries.size() == given && !(read.value && read.value->is(Node::Kind::map))) return;
    if (Node* value = node.find(read.op)) {
      *value = std::move(arguments);
    } else {
      Node map = Node::make_map(node.loc, node.origin);
      map.entries.emplace_back(Node::make_text(read.op, node.loc, node.origin), std::move(arguments));
      node = std::move(map);
    }
  }

  // `adam`, or {type: adam, ...}, or a list of phases.
  void setting(Node* setting, DefinitionKind kind) {
    if (!setting) return;
    for (Node& phase : setting->items) this->setting(&phase, kind);
    const Node* type = setting->is(Node::Kind::map) ? setting->find("type") : setting;
    if (!type || !type->is(Node::Kind::text) || looks_like_formula(type->text)) return;
    const Definition* d = library_.find(kind, type->text, type->loc.file);
    if (!d || (kind == DefinitionKind::function && !d->is_loss())) return;
    if (!setting->is(Node::Kind::map)) {
      Node map = Node::make_map(setting->loc, setting->origin);
      map.entries.emplace_back(Node::make_text("type", setting->loc), *setting);
      *setting = std::move(map);
    }
    // What a schedule's formulas see, its settings see too.
    add(*setting, *d, 0, kind == DefinitionKind::schedule ? std::vector<std::string>{"lr", "total"} : std::vector<std::string>{});
  }

  // Arguments behind the first `inputs` that have a default; those by formulas over `known` names keep their values.
  void add(Node& map, const Definition& d, size_t inputs, const std::vector<std::string>& known) const {
    const std::vector<Signature::Parameter>& parameters = d.signature.parameters;
    std::vector<std::pair<Node, Node>> remarks;
    for (size_t i = inputs; i < parameters.size(); ++i) {
      const Signature::Parameter& p = parameters[i];
      if (!p.fallback || map.find(p.name)) continue;
      auto rule = d.arguments.find(p.name);
      std::optional<Node> value = literal(*p.fallback, rule == d.arguments.end() ? nullptr : &rule->second);
      if (!value) {
        value = Node::make_text(print_formula(*p.fallback));
        if (known.empty() || !only_names(*p.fallback, known)) value->kind = Node::Kind::null;
      }
      (value->is(Node::Kind::null) ? remarks : map.entries).emplace_back(Node::make_text(p.name), std::move(*value));
    }
    if (remarks_) map.entries.insert(map.entries.end(), remarks.begin(), remarks.end());
  }

  Library& library_;
  bool remarks_;
};

}  // namespace

Node with_argument_defaults(Node spec, Sources& sources, bool remarks) {
  Library library(sources);
  Diagnostics unsaid(sources);
  library.add_user(spec, unsaid);
  Defaults(library, remarks).spec(spec);
  return spec;
}

}  // namespace mlc
