#include "compiler/base/text.h"
#include "compiler/spec/spec.h"

#include <algorithm>

namespace mlc {
namespace {

// Text that a reader would not take for something else stands bare.
std::string scalar_text(const Node& node) {
  if (node.is(Node::Kind::null)) return "null";
  if (!node.is(Node::Kind::text)) return node.text;
  const std::string& t = node.text;
  static const char* kWords[] = {"", "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"};
  bool plain = std::none_of(std::begin(kWords), std::end(kWords), [&](const char* w) { return t == w; }) && !parse_real(t) &&
               !parse_integer(t) && trim(t) == t && t.find_first_of("\n\r\t\"\\") == std::string::npos &&
               std::none_of(t.begin(), t.end(), is_control) && t.find(": ") == std::string::npos && t.find(" #") == std::string::npos &&
               !t.empty() && t.back() != ':' && std::string_view("[]{}\"'*&!|>%@`,?:#-").find(t[0]) == std::string_view::npos &&
               t != "---" && t != "...";
  // A dash starts an item only before a space; a formula may start with one.
  if (!plain && t.size() > 1 && t[0] == '-' && t[1] != ' ' && t.find_first_of(":#\n\r\"\\") == std::string::npos &&
      std::none_of(t.begin(), t.end(), is_control) && !parse_real(t))
    plain = true;
  if (plain) return t;
  std::string out = "\"";
  for (char c : t) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (c == '\r') out += "\\r";
    else if (is_control(c)) out += "\\x" + hex_byte(c);
    else out += c;
  }
  return out + "\"";
}

class Printer {
public:
  Printer(bool origins, const Sources& sources) : origins_(origins), sources_(sources) {}

  std::string run(const Node& spec) {
    map(spec, 0);
    if (!origins_) return text();
    size_t width = 0;
    for (const auto& [line, origin] : lines_)
      if (!origin.empty()) width = std::max(width, std::min<size_t>(60, utf8_length(line)));
    std::string out;
    for (const auto& [line, origin] : lines_) {
      out += line;
      if (!origin.empty()) out += std::string(width > utf8_length(line) ? width - utf8_length(line) : 0, ' ') + "  # " + origin;
      out += "\n";
    }
    return out;
  }

private:
  std::string text() const {
    std::string out;
    for (const auto& [line, origin] : lines_) out += line + "\n";
    return out;
  }

  std::string origin(const Node& node) const {
    switch (node.origin) {
    case Origin::set: return "--set";
    case Origin::implied: return "default";
    case Origin::data: return "data";
    case Origin::file: break;
    }
    return node.loc ? sources_.name(node.loc.file) + ":" + std::to_string(node.loc.line) : "";
  }

  // Short lists and maps of scalars stay on one line.
  static bool flat(const Node& n) {
    auto simple = [](const Node& x) { return x.is_scalar() && x.text.find('\n') == std::string::npos; };
    if (n.is(Node::Kind::list)) return std::all_of(n.items.begin(), n.items.end(), simple);
    return n.entries.empty();
  }
  static std::string flow(const Node& n) {
    if (n.is(Node::Kind::map)) return "{}";
    std::vector<std::string> parts;
    for (const Node& i : n.items) {
      std::string t = scalar_text(i);
      bool risky = t[0] != '"' && t.find_first_of(",[]{}?") != std::string::npos;
      parts.push_back(risky ? "\"" + t + "\"" : t);
    }
    return "[" + join(parts, ", ") + "]";
  }

  void map(const Node& node, size_t indent) {
    for (const auto& [key, value] : node.entries) entry(std::string(indent, ' ') + scalar_text(key) + ":", value, indent);
  }

  void entry(const std::string& head, const Node& value, size_t indent) {
    if (value.is_scalar()) return add(head + " " + scalar_text(value), origin(value));
    if (flat(value)) return add(head + " " + flow(value), origin(value));
    add(head, "");
    if (value.is(Node::Kind::map)) return map(value, indent + 2);
    for (const Node& item : value.items) {
      std::string dash = std::string(indent + 2, ' ') + "- ";
      if (item.is_scalar()) {
        add(dash + scalar_text(item), origin(item));
      } else if (item.is(Node::Kind::list) && !flat(item)) {
        entry(dash.substr(0, dash.size() - 1), item, indent + 2);
      } else if (item.is(Node::Kind::list) || item.entries.empty()) {
        add(dash + flow(item), origin(item));
      } else {
        bool first = true;
        for (const auto& [key, inner] : item.entries) {
          entry((first ? dash : std::string(indent + 4, ' ')) + scalar_text(key) + ":", inner, indent + 4);
          first = false;
        }
      }
    }
  }

  void add(std::string line, std::string from) { lines_.emplace_back(std::move(line), std::move(from)); }

  bool origins_;
  const Sources& sources_;
  std::vector<std::pair<std::string, std::string>> lines_;
};

}  // namespace

std::string print_spec(const Node& spec, bool origins, const Sources& sources) { return Printer(origins, sources).run(spec); }

}  // namespace mlc
