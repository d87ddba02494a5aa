#include "compiler/base/text.h"
#include "compiler/spec/names.h"
#include "compiler/spec/spec.h"
#include "compiler/spec/yaml.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace mlc {
namespace {

// clang-format off
enum Kind : unsigned {
  integer = 1, number = 2, flag = 4, text = 8, word = 16, formula = 32, quantity = 64, list = 128, map = 256, items = 512, name = 1024,
  any = 2048, none = 4096,
  listed = 8192   // a text that names one of a table's entries or is a formula: the word `none` is neither
};
// clang-format on

struct Key {
  std::string_view path;
  unsigned kinds;
  std::string_view fallback, doc;
  bool planned;
};

constexpr Key kKeys[] = {
#define KEY(path, kinds, fallback, doc) {path, kinds, fallback, doc, false},
#define PLANNED(path, doc) {path, any, "", doc, true},
#define PLANNED_WORD(path, word)
#include "compiler/spec/keys.def"
#undef KEY
#undef PLANNED
#undef PLANNED_WORD
};

constexpr std::pair<std::string_view, std::string_view> kPlannedWords[] = {
#define KEY(path, kinds, fallback, doc)
#define PLANNED(path, doc)
#define PLANNED_WORD(path, word) {path, word},
#include "compiler/spec/keys.def"
#undef KEY
#undef PLANNED
#undef PLANNED_WORD
};

// Sections that give names: without them all else would be full of unknown ones.
constexpr std::string_view kNaming[] = {"vars", "functions", "blocks", "optimizers", "schedules", "include"};

const Key* key_row(const std::string& path) {
  for (const Key& k : kKeys)
    if (k.path == path) return &k;
  return nullptr;
}

std::string parent_of(std::string_view path) {
  size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? "" : std::string(path.substr(0, dot));
}
std::string last_of(std::string_view path) { return std::string(path.substr(path.rfind('.') + 1)); }

std::vector<std::string> children_of(const std::string& path) {
  std::vector<std::string> out;
  for (const Key& k : kKeys)
    if (parent_of(k.path) == path) out.push_back(last_of(k.path));
  return out;
}

std::vector<std::string> words_of(const Key& key) {
  std::vector<std::string> out;
  std::vector<std::string> parts = split(key.doc, '`');
  for (size_t i = 1; i < parts.size(); i += 2) out.push_back(parts[i]);
  return out;
}

std::string expected(const Key& key) {
  std::vector<std::string> parts;
  auto add = [&](unsigned k, const char* what) {
    if (key.kinds & k) parts.push_back(what);
  };
  add(integer, "a whole number");
  add(number, "a number");
  add(flag, "true or false");
  add(quantity, key.path == "train.time" ? "a time with its unit, as in '10 min' or '90 s'"
                                         : "a number with its unit, as in '1 epoch' or '500 steps'");
  if (key.kinds & word) parts.push_back("one of " + join(words_of(key), ", "));
  add(text | formula, "text");
  add(name, "a name or a map with 'type:'");
  add(list | items, "a list");
  add(map, "a map");
  add(none, "none");
  return join(parts, " or ");
}

bool fits(const Key& key, const Node& node) {
  unsigned k = key.kinds;
  if (k & any) return true;
  bool maybe_formula = node.is(Node::Kind::text) && !node.quoted;
  switch (node.kind) {
  case Node::Kind::null: return false;
  case Node::Kind::boolean: return k & flag;
  case Node::Kind::integer: return k & (integer | number | quantity | formula);
  case Node::Kind::real: return (k & (number | quantity | formula)) || ((k & integer) && node.number() == std::trunc(node.number()));
  case Node::Kind::text: {
    std::vector<std::string> permitted = words_of(key);
    if (k & (text | formula | name)) return true;
    if ((k & word) && std::count(permitted.begin(), permitted.end(), node.text)) return true;
    if ((k & quantity) && parse_quantity(node)) return true;
    if ((k & none) && node.text == "none") return true;
    // A number by formula, or a variable's name: its value is checked where it is used.
    return (k & (integer | number)) && (node.quoted || maybe_formula) && !(k & word) &&
           (looks_like_formula(node.text) || node.text.find(' ') == std::string::npos);
  }
  case Node::Kind::list: return k & (list | items);
  case Node::Kind::map: return k & (map | name);
  }
  return false;
}

class Checker {
public:
  explicit Checker(Diagnostics& d) : diagnostics_(d) {}

  Vocabulary run(Node& spec) {
    section(spec, "");
    for (auto& [home, entry] : moved_) {
      Node* to = &spec;
      for (const std::string& name : split(parent_of(home), '.'))
        if (to) to = to->find(name);
      std::string last = last_of(home);
      if (!to || !to->is(Node::Kind::map) || to->find(last)) continue;
      entry.first.text = last;
      to->entries.push_back(std::move(entry));
    }
    return left_;
  }

private:
  void section(Node& node, const std::string& path) {
    std::vector<std::string> known = children_of(path);
    std::vector<std::pair<Node, Node>> kept;
    int64_t open = 0;   // parentheses of a formula that a comma has cut: what follows are its pieces
    for (size_t i = 0; i < node.entries.size(); ++i) {
      auto& [key, value] = node.entries[i];
      if (open > 0) {
        open += open_parentheses(key.text);
        continue;
      }
      open = cut_formula(node, i);
      if (open <= 0 && entry(node, path, known, key, value)) kept.push_back(std::move(node.entries[i]));
    }
    node.entries = std::move(kept);
  }

  // False for a key that is as if it were not written: `none`, where that is no value of its own.
  static bool stands(const Key& row, const Node& value) {
    bool own = (row.kinds & (none | any)) || ((row.kinds & text) && !(row.kinds & listed));
    if (!value.is(Node::Kind::text) || value.quoted || value.text != "none" || own) return true;
    std::vector<std::string> words = words_of(row);
    return std::find(words.begin(), words.end(), "none") != words.end();
  }

  // A faulty value: its default stands for it. Without one it stays, as nothing that could be read, so that nobody misses it; who reads it
  // finds a fault at the same place, which is told once. True where it stays.
  bool stays(const Key& row, Node& value) {
    if (!row.fallback.empty()) return false;
    Loc loc = value.loc;
    value = Node();
    value.loc = loc;
    if (!(row.kinds & (map | name))) value.kind = Node::Kind::map;
    else if (!(row.kinds & (list | items))) value.kind = Node::Kind::list;
    std::string root(row.path.substr(0, row.path.find('.')));
    if (root == "data" || root == "model" || root == "models") left_ = std::min(left_, Vocabulary::without_data);
    if (std::find(std::begin(kNaming), std::end(kNaming), root) != std::end(kNaming)) left_ = Vocabulary::unusable;
    return true;
  }

  // True where the entry is good, or has been mended.
  bool entry(const Node& node, const std::string& path, const std::vector<std::string>& known, Node& key, Node& value) {
    if (path.empty() && starts_with(key.text, "x-")) return true;
    auto full = [&] { return path.empty() ? key.text : path + "." + key.text; };
    const Key* row = key_row(full());
    if (!row || key.text.find('.') != std::string::npos) {
      std::string meant = unknown_key(key, value, path, known);
      if (meant.empty() || node.find(meant)) return false;
      row = key_row(path.empty() ? meant : path + "." + meant);
      if (!row || row->planned || !fits(*row, value)) return false;
      key.text = meant;
    }
    if (row->planned) {
      diagnostics_.error(key.loc, "'" + key.text + "' is not supported by this version yet");
      return false;
    }
    if (value.is(Node::Kind::null) && !(row->kinds & any)) {
      diagnostics_.error(key.loc, "'" + key.text + "' has no value; expected " + expected(*row));
      return stays(*row, value);
    }
    if (!stands(*row, value)) return false;
    if (!fits(*row, value)) {
      wrong_kind(*row, key, value);
      return stays(*row, value);
    }
    if (full() == "lints") lints(value);
    if (full() == "model") glued_dashes(value);
    if (full() == "threads" && value.is_number() && (value.number() < 1 || value.number() > 1024))
      diagnostics_.error(value.loc, "'threads' is a number from 1 to 1024, or all");
    if (full() == "precision" && value.text != "f32")
      diagnostics_.error(value.loc, "precision '" + value.text + "' is not supported by this version yet: it computes in f32");
    if (value.is(Node::Kind::map) && !children_of(full()).empty()) section(value, full());
    return true;
  }

  // "loss: mse(output, y)" within {}: a key, and half of a formula as its value. What is left open; 0: no such case.
  int64_t cut_formula(const Node& map, size_t at) {
    const Node& value = map.entries[at].second;
    bool ends = std::any_of(map.entries.begin() + static_cast<int64_t>(at) + 1, map.entries.end(),
                            [](const auto& e) { return open_parentheses(e.first.text) < 0; });
    int64_t open = value.is(Node::Kind::text) && !value.quoted && ends ? open_parentheses(value.text) : 0;
    if (open > 0)
      diagnostics_.error(value.loc, "the formula '" + value.text + "' ends at a comma: within {} and [] a formula with commas is quoted"),
          left_ = Vocabulary::unusable;
    return std::max<int64_t>(open, 0);
  }

  // The key of this section that is meant; empty: not clear, or one of another section (moved_).
  std::string unknown_key(const Node& key, Node& value, const std::string& path, const std::vector<std::string>& known) {
    Diagnostic d = unknown_name(key.loc, "key", key.text, known);
    bool slip = open_parentheses(key.text) < 0 || key.text.find(':') != std::string::npos || (key.text.size() > 1 && key.text[0] == '-');
    if (slip) left_ = Vocabulary::unusable;  // what was meant is not to be had
    if (open_parentheses(key.text) < 0) {
      diagnostics_.report(std::move(d));
      return "";
    }
    if (key.text.find(':') != std::string::npos) d.text = "a space is needed behind the ':' of '" + key.text + "'", d.fix.clear();
    else if (key.text.size() > 1 && key.text[0] == '-')
      d.text = "a space is needed behind the dash: '- " + key.text.substr(1) + "'", d.fix.clear();
    else if (std::string home = elsewhere(key.text, path); !home.empty()) {
      bool same = last_of(home) == last_of(key.text);
      d.text = "unknown key '" + key.text +
               (same ? "' here; it belongs under '" + parent_of(home) + "'"
                     : "'; did you mean '" + last_of(home) + "', under '" + parent_of(home) + "'?");
      d.fix.clear();
      moved_.emplace_back(home, std::pair(key, value));
    }
    std::string meant = d.fix;
    diagnostics_.report(std::move(d));
    return meant;
  }

  // Where else the language has this key, or what the word means: "train.epochs". Empty: nowhere, or in several places.
  static std::string elsewhere(const std::string& name, const std::string& path) {
    if (name.find('.') != std::string::npos) return key_row(name) ? name : "";
    if (same_meaning(name, "lr")) return "train.optimizer.lr";
    std::vector<std::string_view> exact, meant;
    for (const Key& k : kKeys) {
      if (k.planned || parent_of(k.path) == path || k.path.find('.') == std::string_view::npos) continue;
      if (last_of(k.path) == name) exact.push_back(k.path);
      else if (same_meaning(name, last_of(k.path))) meant.push_back(k.path);
    }
    if (exact.empty() && !suggest(name, children_of(path)).empty()) return "";
    std::vector<std::string_view>& found = exact.empty() ? meant : exact;
    auto depth = [](std::string_view p) { return std::count(p.begin(), p.end(), '.'); };
    std::stable_sort(found.begin(), found.end(), [&](std::string_view a, std::string_view b) { return depth(a) < depth(b); });
    bool clear = found.size() == 1 || (found.size() > 1 && depth(found[0]) < depth(found[1]));
    return clear ? std::string(found[0]) : "";
  }

  // "-linear: 3" is a map with a strange key, where a list was meant.
  void glued_dashes(const Node& model) {
    for (const auto& [key, value] : model.entries)
      if (key.text.size() > 1 && key.text[0] == '-')
        diagnostics_.error(key.loc, "a space is needed behind the dash: '- " + key.text.substr(1) + "'"), left_ = Vocabulary::unusable;
  }

  void lints(const Node& map) {
    for (const auto& [key, value] : map.entries) {
      std::vector<std::string> names = lint_names();
      if (std::find(names.begin(), names.end(), key.text) == names.end())
        diagnostics_.report(unknown_name(key.loc, "lint", key.text, names));
      else if (value.text != "off" && value.text != "on" && !value.is(Node::Kind::boolean))
        diagnostics_.error(value.loc, "a lint is on or off");
    }
  }

  void wrong_kind(const Key& row, const Node& key, const Node& value) {
    std::string found = value.is_scalar() ? "'" + value.text + "'" : kind_name(value.kind);
    Diagnostic d;
    d.loc = value.loc;
    d.text = "'" + key.text + "' expects " + expected(row) + ", found " + found;
    if (row.kinds & word) {
      std::vector<std::string> permitted = words_of(row);
      if (std::string near = suggest(value.text, permitted); !near.empty())
        d = misnamed(value.loc, "'" + key.text + "' cannot be " + found, near);
    }
    if (std::find(std::begin(kPlannedWords), std::end(kPlannedWords), std::pair(row.path, std::string_view(value.text))) !=
        std::end(kPlannedWords))
      d.text = "'" + key.text + ": " + value.text + "' is not supported by this version yet; it knows " + join(words_of(row), ", "),
      d.fix.clear();
    if ((row.kinds & quantity) && value.is_number())
      d.text = "'" + key.text + "' needs a unit: '" + value.text + " epochs' or '" + value.text + " steps'?";
    diagnostics_.report(std::move(d));
  }

  Diagnostics& diagnostics_;
  Vocabulary left_ = Vocabulary::whole;
  std::vector<std::pair<std::string, std::pair<Node, Node>>> moved_;  // by the path where they belong
};

// Defaults as nodes, from their YAML text.
Node implied(std::string_view text) {
  Node n;
  n.text = std::string(text);
  n.origin = Origin::implied;
  n.kind = text == "true" || text == "false" ? Node::Kind::boolean
           : parse_integer(text)             ? Node::Kind::integer
           : parse_real(text)                ? Node::Kind::real
                                             : Node::Kind::text;
  return n;
}

void fill(Node& node, const std::string& path) {
  std::vector<std::pair<Node, Node>> ordered;
  auto take = [&](const std::string& key) {
    for (auto it = node.entries.begin(); it != node.entries.end(); ++it)
      if (it->first.text == key) {
        ordered.push_back(std::move(*it));
        node.entries.erase(it);
        return true;
      }
    return false;
  };
  for (const std::string& key : children_of(path)) {
    std::string full = path.empty() ? key : path + "." + key;
    const Key* row = key_row(full);
    if (take(key)) {
      Node& value = ordered.back().second;
      if (value.is(Node::Kind::map) && !children_of(full).empty()) fill(value, full);
    } else if (!row->fallback.empty()) {
      ordered.emplace_back(Node::make_text(key), implied(row->fallback));
    }
  }
  for (auto& rest : node.entries) ordered.push_back(std::move(rest));
  node.entries = std::move(ordered);
}

}  // namespace

Diagnostic missing_sections(const Node& spec) {
  std::vector<std::string> missing;
  const Node* data = spec.find("data");
  if (!data || !data->is(Node::Kind::map)) missing.emplace_back("'data'");
  if (!spec.find("model") && !spec.find("models")) missing.emplace_back("'model'");
  if (!spec.find("train")) missing.emplace_back("'train'");
  return {.loc = {spec.loc.file, 0, 0, 0}, .text = "the spec has no " + join(missing, ", ")};
}

Vocabulary check_vocabulary(Node& spec, Diagnostics& diagnostics) {
  if (!spec.is(Node::Kind::map)) {
    if (!diagnostics.errors()) diagnostics.error(spec.loc, "a spec is a map with keys such as data, model and train");
    return Vocabulary::unusable;
  }
  return Checker(diagnostics).run(spec);
}

Node effective_spec(const Node& spec) {
  Node out = spec;
  fill(out, "");
  return out;
}

std::optional<Quantity> parse_quantity(const Node& node) {
  if (!node.is(Node::Kind::text)) return std::nullopt;
  std::string body(trim(node.text));
  size_t at = body.find_first_not_of("0123456789.eE+-");
  if (at == std::string::npos || at == 0) return std::nullopt;
  // The exponent's letter may belong to the unit: "1epoch".
  while (at > 0 && (body[at - 1] == 'e' || body[at - 1] == 'E')) --at;
  std::optional<double> value = parse_real(trim(body.substr(0, at)));
  std::string unit(trim(body.substr(at)));
  if (!value) return std::nullopt;
  if (unit == "step" || unit == "steps") return Quantity{Quantity::Unit::steps, *value};
  if (unit == "epoch" || unit == "epochs") return Quantity{Quantity::Unit::epochs, *value};
  if (unit == "%") return Quantity{Quantity::Unit::percent, *value};
  if (unit == "s" || unit == "sec" || unit == "second" || unit == "seconds") return Quantity{Quantity::Unit::seconds, *value};
  if (unit == "min" || unit == "minute" || unit == "minutes") return Quantity{Quantity::Unit::seconds, *value * 60};
  if (unit == "h" || unit == "hour" || unit == "hours") return Quantity{Quantity::Unit::seconds, *value * 3600};
  return std::nullopt;
}

std::vector<std::string> lint_names() {
  return {"softmax-before-loss", "sigmoid-before-loss", "bias-before-batch-norm", "unused-value", "no-gradient",
          "target-in-features",  "batch-of-one",        "schedule-too-long",      "extra-outputs"};
}

std::string document_key(const std::string& path) {
  const Key* row = key_row(path);
  if (!row) return "";
  std::string out = path + (row->planned ? "  (not in this version)" : ": " + expected(*row)) + "\n  " +
                    replace_all(std::string(row->doc), "`", "") + "\n";
  if (!row->fallback.empty()) out += "  default: " + std::string(row->fallback) + "\n";
  for (const std::string& child : children_of(path)) {
    const Key* c = key_row(path + "." + child);
    out += "    " + child + std::string(child.size() < 16 ? 16 - child.size() : 1, ' ') + replace_all(std::string(c->doc), "`", "") + "\n";
  }
  return out;
}

std::vector<KeyInfo> key_infos() {
  static constexpr std::pair<unsigned, const char*> kNames[] = {
      {integer, "integer"}, {number, "number"},     {flag, "flag"}, {text, "text"}, {word, "word"},
      {formula, "formula"}, {quantity, "quantity"}, {list, "list"}, {map, "map"},   {items, "items"},
      {name, "name"},       {any, "any"},           {none, "none"}};
  std::vector<KeyInfo> out;
  for (const Key& k : kKeys) {
    KeyInfo info{.path = std::string(k.path),
                 .fallback = std::string(k.fallback),
                 .doc = replace_all(std::string(k.doc), "`", ""),
                 .planned = k.planned};
    for (auto [bit, shown] : kNames)
      if (k.kinds & bit) info.kinds.emplace_back(shown);
    if (k.kinds & word) info.words = words_of(k);
    out.push_back(std::move(info));
  }
  return out;
}

std::vector<std::string> key_paths() {
  std::vector<std::string> out;
  for (const Key& k : kKeys) out.push_back(std::string(k.path));
  return out;
}

}  // namespace mlc
