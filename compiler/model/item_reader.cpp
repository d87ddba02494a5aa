#include "compiler/base/text.h"
#include "compiler/model/entries.h"
#include "compiler/model/items.h"

#include <algorithm>

namespace mlc {
namespace {

const std::vector<std::string> kStructural = {"layers", "residual", "add", "mul", "matmul", "concat", "expr"};

}  // namespace

std::vector<std::string> structural_ops() { return kStructural; }
bool is_structural(const std::string& op) { return std::find(kStructural.begin(), kStructural.end(), op) != kStructural.end(); }

ItemOp find_item_op(Library& library, const std::string& op, uint32_t file, bool transforms) {
  if (is_structural(op)) return {};
  const Definition* d = transforms ? library.find(DefinitionKind::transform, op, file) : nullptr;
  if (!d) d = library.find(DefinitionKind::block, op, file);
  if (d) return {.definition = d};
  d = library.find_user(DefinitionKind::function, op, file);
  const Primitive* primitive = d ? nullptr : find_primitive(op);
  if (primitive && primitive->parameters[0] == 'x') return {.primitive = primitive};
  if (!d) d = library.find(DefinitionKind::function, op, file);
  return d && !d->is_loss() ? ItemOp{.definition = d} : ItemOp{};
}

std::vector<std::string> ItemOp::parameters() const {
  std::vector<std::string> names;
  if (definition)
    for (const Signature::Parameter& p : definition->signature.parameters) names.push_back(p.name);
  else if (primitive)
    for (std::string& name : split(primitive->parameters, ' '))
      names.push_back(name.back() == '?' ? name.substr(0, name.size() - 1) : name);
  return names;
}

Item read_item(const Node& node) {
  Item item;
  if (node.is(Node::Kind::text)) {
    item.op = node.text;
    item.loc = node.loc;
    return item;
  }
  if (!node.is(Node::Kind::map))
    throw SpecError(node.loc, "an item is an op, 'op: value' or 'op: {arguments}', not " + kind_name(node.kind));
  for (const auto& [key, value] : node.entries) {
    const std::string& name = key.text;
    if (name == "as") item.as = &value;
    else if (name == "from") item.from = &value;
    else if (name == "init") item.init = &value;
    else if (name == "repeat") item.repeat = &value;
    else if (name == "if") item.condition = &value;
    else if (name == "on") item.on = &value;
    else if (name == "shortcut") item.shortcut = &value;
    else if (!item.op.empty())
      throw SpecError(key.loc, "an item has one op; this one has '" + item.op + "' and '" + name + "'; arguments are written '" + item.op +
                                   ": {...}'");
    else {
      item.op = name;
      item.loc = key.loc;
      item.value = value.is(Node::Kind::null) ? nullptr : &value;
    }
  }
  if (item.op.empty()) throw SpecError(node.entries.empty() ? node.loc : node.entries[0].first.loc, "an item needs an op");
  if (item.shortcut && item.op != "residual") throw SpecError(node.find_key("shortcut")->loc, "'shortcut' goes with 'residual' only");
  return item;
}

Node named_arguments(const Node& value, const std::string& main) {
  if (!value.is(Node::Kind::map)) {
    Node map = Node::make_map(value.loc, value.origin);
    map.entries.emplace_back(Node::make_text(main, value.loc, value.origin), value);
    return map;
  }
  Node map = value;
  if (map.find(main)) std::erase_if(map.entries, [](const auto& e) { return e.first.is(Node::Kind::null); });
  for (auto& [key, argument] : map.entries)
    if (key.is(Node::Kind::null)) key = Node::make_text(main, argument.loc, argument.origin);
  return map;
}

}  // namespace mlc
