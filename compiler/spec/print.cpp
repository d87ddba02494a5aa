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
  static constexpr size_t kMostColumns = 120;

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

  // Places where the parts of a value come from, each with what comes from there, that of its key first and without names:
  // "a.yaml:3; --set: out; default: bias, hidden = 4 * out".
  std::string origins(const Node& key, const Node& value) const {
    std::vector<std::pair<std::string, std::vector<std::string>>> groups = {{origin(key), {}}};
    collect(value, "", groups);
    std::string out;
    for (const auto& [place, names] : groups) {
      if (place.empty()) continue;
      out += (out.empty() ? "" : "; ") + place + (names.empty() ? "" : ": " + join(names, ", "));
    }
    return out;
  }
  void collect(const Node& map, const std::string& path, std::vector<std::pair<std::string, std::vector<std::string>>>& groups) const {
    for (const auto& [key, value] : map.entries) {
      if (value.is(Node::Kind::map) && !value.entries.empty()) {
        collect(value, path + key.text + ".", groups);
        continue;
      }
      std::string place = origin(value);
      auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == place; });
      if (group == groups.begin()) continue;
      if (group == groups.end()) group = groups.insert(groups.end(), {place, {}});
      group->second.push_back(path + key.text + (is_remark(value) ? " = " + value.text : ""));
    }
  }

  // A default by formula: its value stands in the definition only.
  static bool is_remark(const Node& n) { return n.is(Node::Kind::null) && n.origin == Origin::implied && !n.text.empty(); }

  // Short lists of scalars stay on one line; maps of them too, within a list: so an item is a line.
  static bool flat(const Node& n) {
    auto simple = [](const Node& x) { return x.is_scalar() && x.text.find('\n') == std::string::npos; };
    if (n.is(Node::Kind::list)) return std::all_of(n.items.begin(), n.items.end(), simple);
    return n.entries.empty();
  }
  static bool flat_map(const Node& n) {
    return n.is(Node::Kind::map) && std::all_of(n.entries.begin(), n.entries.end(), [](const auto& e) {
             const Node& value = e.second;
             return value.is_scalar() ? value.text.find('\n') == std::string::npos : flat(value) || flat_map(value);
           });
  }
  static std::string flow(const Node& n) {
    if (n.is_scalar()) {
      std::string t = scalar_text(n);
      bool risky = t[0] != '"' && t.find_first_of(",[]{}?") != std::string::npos;
      return risky ? "\"" + t + "\"" : t;
    }
    std::vector<std::string> parts;
    for (const Node& i : n.items) parts.push_back(flow(i));
    for (const auto& [key, value] : n.entries)
      if (!is_remark(value)) parts.push_back(flow(key) + ": " + flow(value));
    return n.is(Node::Kind::list) ? "[" + join(parts, ", ") + "]" : "{" + join(parts, ", ") + "}";
  }

  void map(const Node& node, size_t indent) {
    std::string margin(indent, ' ');
    for (const auto& [key, value] : node.entries) {
      if (!is_remark(value)) entry(margin + scalar_text(key) + ":", key, value, indent, false);
      else add(margin + "# " + key.text + ": " + value.text, origin(value));
    }
  }

  void entry(const std::string& head, const Node& key, const Node& value, size_t indent, bool in_list) {
    if (value.is_scalar()) return add(head + " " + scalar_text(value), origin(value));
    if (flat(value)) return add(head + " " + flow(value), origin(value));
    if (in_list && flat_map(value))
      if (std::string line = head + " " + flow(value); utf8_length(line) <= kMostColumns) return add(line, origins(key, value));
    add(head, "");
    if (value.is(Node::Kind::map)) return map(value, indent + 2);
    for (const Node& item : value.items) {
      std::string dash = std::string(indent + 2, ' ') + "- ";
      if (item.is_scalar()) {
        add(dash + scalar_text(item), origin(item));
      } else if (item.is(Node::Kind::list) && !flat(item)) {
        entry(dash.substr(0, dash.size() - 1), item, item, indent + 2, true);
      } else if (item.is(Node::Kind::list) || item.entries.empty()) {
        add(dash + flow(item), origin(item));
      } else {
        bool first = true;
        for (const auto& [name, inner] : item.entries) {
          entry((first ? dash : std::string(indent + 4, ' ')) + scalar_text(name) + ":", name, inner, indent + 4, true);
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
