#include "tools/cli/typed_defaults.h"

#include "compiler/base/text.h"
#include "compiler/model/library.h"

#include <optional>

namespace mlc {
namespace {

// Numbers, texts, flags, none and lists of them; nothing for a formula over other names.
std::optional<Node> literal(const Expr& e) {
  switch (e.kind) {
  case Expr::Kind::number: return e.integer ? Node::make_integer(static_cast<int64_t>(e.value)) : Node::make_real(e.value);
  case Expr::Kind::unary: {
    const Expr& n = *e.kids[0];
    if (e.name != "-" || n.kind != Expr::Kind::number) return std::nullopt;
    return n.integer ? Node::make_integer(-static_cast<int64_t>(n.value)) : Node::make_real(-n.value);
  }
  case Expr::Kind::text: return Node::make_text(e.name);
  case Expr::Kind::name:
    if (e.name == "true" || e.name == "false") return Node::make_boolean(e.name == "true");
    return e.name == "none" ? std::optional(Node::make_text(e.name)) : std::nullopt;
  case Expr::Kind::list: {
    std::vector<Node> items;
    for (const ExprPtr& kid : e.kids) {
      std::optional<Node> item = literal(*kid);
      if (!item) return std::nullopt;
      items.push_back(*item);
    }
    return Node::make_list(std::move(items));
  }
  default: return std::nullopt;
  }
}

// `adam`, or {type: adam, ...}: with the arguments that it does not name.
void fill(Node* setting, DefinitionKind kind, Library& library) {
  if (!setting) return;
  if (setting->is(Node::Kind::list)) {
    for (Node& phase : setting->items) fill(&phase, kind, library);
    return;
  }
  const Node* type = setting->is(Node::Kind::map) ? setting->find("type") : setting;
  if (!type || !type->is(Node::Kind::text) || looks_like_formula(type->text)) return;
  const Definition* d = library.find(kind, type->text, type->loc.file);
  if (!d || (kind == DefinitionKind::function && !d->is_loss())) return;
  if (!setting->is(Node::Kind::map)) {
    Node map = Node::make_map(setting->loc, setting->origin);
    map.entries.emplace_back(Node::make_text("type", setting->loc), *setting);
    *setting = std::move(map);
  }
  for (const Signature::Parameter& p : d->signature.parameters) {
    std::optional<Node> value = p.fallback && !setting->find(p.name) ? literal(*p.fallback) : std::nullopt;
    if (value) setting->entries.emplace_back(Node::make_text(p.name), std::move(*value));
  }
}

}  // namespace

Node with_typed_defaults(Node spec, Sources& sources) {
  Library library(sources);
  Diagnostics unsaid(sources);
  library.add_user(spec, unsaid);
  Node* train = spec.find("train");
  if (!train || !train->is(Node::Kind::map)) return spec;
  std::vector<Node*> updates = {train};
  if (Node* named = train->find("updates"))
    for (auto& [name, update] : named->entries) updates.push_back(&update);
  for (Node* update : updates) {
    fill(update->find("optimizer"), DefinitionKind::optimizer, library);
    fill(update->find("schedule"), DefinitionKind::schedule, library);
    fill(update->find("loss"), DefinitionKind::function, library);
  }
  return spec;
}

}  // namespace mlc
