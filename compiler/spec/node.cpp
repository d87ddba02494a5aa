#include "compiler/spec/node.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"

namespace mlc {
namespace {

Node scalar(Node::Kind kind, std::string text, Loc loc, Origin origin) {
  Node node;
  node.kind = kind;
  node.text = std::move(text);
  node.loc = loc;
  node.origin = origin;
  return node;
}

}  // namespace

Node::Node() = default;
Node::Node(const Node&) = default;
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(const Node&) = default;
Node& Node::operator=(Node&&) noexcept = default;
Node::~Node() = default;

const Node* Node::find(std::string_view key) const {
  for (const auto& [k, value] : entries)
    if (k.text == key) return &value;
  return nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

const Node* Node::find_key(std::string_view key) const {
  for (const auto& [k, value] : entries)
    if (k.text == key) return &k;
  return nullptr;
}

int64_t Node::integer() const {
  auto value = parse_integer(text);
  ensure(kind == Kind::integer && value.has_value(), "node: not an integer");
  return *value;
}

double Node::number() const {
  auto value = parse_real(text);
  ensure(is_number() && value.has_value(), "node: not a number");
  return *value;
}

bool Node::boolean() const {
  ensure(kind == Kind::boolean, "node: not a flag");
  return text == "true" || text == "True" || text == "TRUE";
}

Node Node::make_text(std::string text, Loc loc, Origin origin) {
  Node node = scalar(Kind::text, std::move(text), loc, origin);
  node.quoted = true;
  return node;
}
Node Node::make_integer(int64_t value, Loc loc, Origin origin) { return scalar(Kind::integer, std::to_string(value), loc, origin); }
Node Node::make_real(double value, Loc loc, Origin origin) {
  std::string text = format_number(value);
  if (text == "inf" || text == "-inf" || text == "nan") text.insert(text[0] == '-' ? 1 : 0, ".");
  return scalar(Kind::real, std::move(text), loc, origin);
}
Node Node::make_boolean(bool value, Loc loc, Origin origin) { return scalar(Kind::boolean, value ? "true" : "false", loc, origin); }
Node Node::make_list(std::vector<Node> items, Loc loc, Origin origin) {
  Node node = scalar(Kind::list, "", loc, origin);
  node.items = std::move(items);
  return node;
}
Node Node::make_map(Loc loc, Origin origin) { return scalar(Kind::map, "", loc, origin); }

std::string kind_name(Node::Kind kind) {
  switch (kind) {
  case Node::Kind::null: return "nothing";
  case Node::Kind::boolean: return "true or false";
  case Node::Kind::integer:
  case Node::Kind::real: return "a number";
  case Node::Kind::text: return "text";
  case Node::Kind::list: return "a list";
  case Node::Kind::map: return "a map";
  }
  return "";
}

}  // namespace mlc
