#include "compiler/spec/yaml.h"

#include "compiler/base/text.h"
#include "compiler/spec/text_runs.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

namespace mlc {
namespace {

constexpr size_t kMostLevels = 200, kMostNodes = 1'000'000;

// The kind of a plain scalar by the core schema.
Node::Kind plain_kind(const std::string& text) {
  static const std::set<std::string> kNull = {"", "~", "null", "Null", "NULL"};
  static const std::set<std::string> kFlags = {"true", "True", "TRUE", "false", "False", "FALSE"};
  if (kNull.count(text)) return Node::Kind::null;
  if (kFlags.count(text)) return Node::Kind::boolean;
  if (parse_integer(text)) return Node::Kind::integer;
  if (parse_real(text)) return Node::Kind::real;
  return Node::Kind::text;
}

size_t count_nodes(const Node& node) {
  size_t n = 1;
  for (const Node& item : node.items) n += count_nodes(item);
  for (const auto& [key, value] : node.entries) n += 1 + count_nodes(value);
  return n;
}

class Builder : public YAML::EventHandler {
public:
  Builder(Sources& sources, uint32_t file, Diagnostics& diagnostics) : sources_(sources), file_(file), diagnostics_(diagnostics) {}

  Node result() { return std::move(root_); }
  bool document_seen() const { return seen_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (seen_) throw SpecError(place(mark, 1), "a spec is one YAML document; remove what follows '---'");
    seen_ = true;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.loc = pending_key() ? open_.back().key.loc : place(mark, 1);
    add(std::move(node), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    refuse_tag(mark, tag);
    Node node;
    node.quoted = tag == "!";
    if (node.quoted) refuse_open_quote(mark);
    node.text = value;
    node.kind = node.quoted ? Node::Kind::text : plain_kind(value);
    node.loc = place(mark, token_length(mark, node.quoted, value));
    size_t length = utf8_length(value) + (node.quoted ? 2 : 0);
    if (node.kind == Node::Kind::text && node.loc.len != length) {
      std::string_view line = sources_.line(file_, node.loc.line);
      const std::string& text = sources_.text(file_);
      size_t start = static_cast<size_t>(line.data() - text.data()) + static_cast<size_t>(mark.column);
      std::vector<TextRun> runs = text_runs(text, start, {file_, node.loc.line, node.loc.col, 1}, value, node.quoted);
      if (!runs.empty()) node.runs = std::make_shared<const std::vector<TextRun>>(std::move(runs));
    }
    if (node.kind == Node::Kind::null && pending_key() && value.empty()) node.loc = open_.back().key.loc;
    add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto it = anchors_.find(anchor);
    if (it == anchors_.end()) throw SpecError(place(mark, 1), "an alias cannot stand within its own anchor");
    nodes_ += count_nodes(it->second);
    if (nodes_ > kMostNodes) throw SpecError(place(mark, 1), "aliases expand to more than 1,000,000 nodes");
    add(it->second, 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    begin(mark, tag, anchor, Node::Kind::list);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    begin(mark, tag, anchor, Node::Kind::map);
  }
  void OnMapEnd() override { end(); }

private:
  struct Open {
    Node node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;
    bool drop = false;          // the value of a key that stood before: read, reported, left out
    Node key;
    std::map<std::string, Loc> keys;
  };

  // yaml-cpp counts columns in bytes from 0.
  Loc place(const YAML::Mark& mark, size_t length) const {
    if (mark.is_null()) return {file_, 0, 0, 0};
    auto line = static_cast<uint32_t>(mark.line + 1);
    std::string_view text = sources_.line(file_, line);
    auto column = std::min(static_cast<size_t>(std::max(0, mark.column)), text.size());
    return {file_, line, static_cast<uint32_t>(utf8_length(text.substr(0, column)) + 1),
            static_cast<uint32_t>(std::max<size_t>(1, length))};
  }

  // Characters of a scalar on its first line, quotes included.
  size_t token_length(const YAML::Mark& mark, bool quoted, const std::string& value) const {
    std::string_view line = sources_.line(file_, static_cast<uint32_t>(mark.line + 1));
    auto from = std::min(static_cast<size_t>(std::max(0, mark.column)), line.size());
    std::string_view rest = line.substr(from);
    if (!quoted) return utf8_length(rest.substr(0, value.size()) == value ? std::string_view(value) : trim(rest));
    if (rest.empty() || (rest[0] != '"' && rest[0] != '\'')) return 1;
    for (size_t i = 1; i < rest.size(); ++i) {
      if (rest[0] == '"' && rest[i] == '\\') {
        ++i;
      } else if (rest[i] == rest[0]) {
        if (rest[0] == '\'' && i + 1 < rest.size() && rest[i + 1] == '\'') ++i;
        else return utf8_length(rest.substr(0, i + 1));
      }
    }
    return utf8_length(trim(rest));
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      throw SpecError(place(mark, 1), "YAML tags are not allowed; quote the text if it starts with '!'");
  }

  // yaml-cpp takes the end of the text for a closing quote.
  void refuse_open_quote(const YAML::Mark& mark) const {
    const std::string& text = sources_.text(file_);
    std::string_view line = sources_.line(file_, static_cast<uint32_t>(mark.line + 1));
    auto column = static_cast<size_t>(std::max(0, mark.column));
    if (column >= line.size() || (line[column] != '"' && line[column] != '\'')) return;
    char quote = line[column];
    for (size_t i = static_cast<size_t>(line.data() - text.data()) + column + 1; i < text.size(); ++i) {
      bool escape = quote == '"' ? text[i] == '\\' : text[i] == quote && i + 1 < text.size() && text[i + 1] == quote;
      if (escape) ++i;
      else if (text[i] == quote) return;
    }
    throw SpecError(place(mark, 1), "this quote is never closed");
  }

  bool pending_key() const { return !open_.empty() && open_.back().node.is(Node::Kind::map) && open_.back().has_key; }

  void begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    refuse_tag(mark, tag);
    Loc loc = place(mark, 1);
    if (!open_.empty() && open_.back().node.is(Node::Kind::map) && !open_.back().has_key)
      throw SpecError(loc, "a key is a name: a closing bracket is missing, or a formula that starts with '" +
                               std::string(kind == Node::Kind::map ? "{" : "[") + "' is not quoted");
    if (open_.size() >= kMostLevels) throw SpecError(loc, "a spec is nested at most 200 levels deep");
    Open open;
    open.node.kind = kind;
    open.node.loc = loc;
    open.anchor = anchor;
    open_.push_back(std::move(open));
  }

  void end() {
    Open done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done.node), done.anchor);
  }

  void add(Node node, YAML::anchor_t anchor) {
    if (++nodes_ > kMostNodes) throw SpecError(node.loc, "a spec has at most 1,000,000 nodes");
    if (anchor) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.is(Node::Kind::list)) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      if (!node.is_scalar()) throw SpecError(node.loc, "a key is a name");
      if (node.text == "<<" && !node.quoted) throw SpecError(node.loc, "merge keys ('<<') are not allowed; use 'include:' or 'vars:'");
      parent.has_key = true;
      auto [it, fresh] = parent.keys.insert({node.text, node.loc});
      parent.drop = !fresh;
      if (!fresh) diagnostics_.error(node.loc, "key '" + node.text + "' stands twice in this map", {{it->second, "first here"}});
      node.kind = Node::Kind::text;
      parent.key = std::move(node);
    } else {
      if (!parent.drop) parent.node.entries.emplace_back(std::move(parent.key), std::move(node));
      parent.has_key = false;
    }
  }

  Sources& sources_;
  uint32_t file_;
  Diagnostics& diagnostics_;
  Node root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Node> anchors_;
  size_t nodes_ = 0;
  bool seen_ = false;
};

constexpr std::string_view kTabs = "tabs cannot indent YAML; use spaces";

// yaml-cpp's messages in the words of a spec's author, with a hint where a formula may be behind the fault.
Diagnostic explain(const std::string& message, std::string_view line) {
  auto has = [&](const char* part) { return message.find(part) != std::string::npos; };
  Diagnostic d;
  std::string_view blank = line.substr(0, line.find_first_not_of(" \t"));
  bool formula = line.find_first_of("[{\"'*&%@`|>!") != std::string_view::npos || line.find(": ") != line.rfind(": ");
  bool hint = formula;
  if (blank.find('\t') != std::string_view::npos || has("tab")) d.text = kTabs, hint = false;
  else if (has("end of map flow") || has("end of sequence flow")) d.text = "a closing bracket or brace is missing here or above";
  else if (has("end of map") || has("end of sequence")) d.text = "this line does not fit the structure of the lines above";
  else if (has("illegal map value")) d.text = "a second ': ' on one line";
  else if (has("EOF")) d.text = "the text ends inside a quoted value: a closing quote is missing", hint = false;
  else if (has("unknown token") || has("block scalar")) d.text = "a value cannot start like this";
  else if (has("anchor is not defined")) d.text = "no anchor of this name stands above; quote a text that starts with '*'", hint = false;
  else d.text = "YAML syntax: " + message;
  if (hint)
    d.lines.push_back("a formula is quoted where it holds ': ' or ' #', starts with one of [ { \" ' * & ! | > % @, or has a comma or "
                      "bracket within [] or {}");
  return d;
}

}  // namespace

Node parse_yaml(Sources& sources, uint32_t file, Diagnostics& diagnostics) {
  const std::string& text = sources.text(file);
  if (!utf8_valid(text)) {
    diagnostics.error({file, 0, 0, 0}, "the file is not UTF-8 text");
    return {};
  }
  if (auto found = std::find_if(text.begin(), text.end(), is_control); found != text.end()) {
    auto line = static_cast<uint32_t>(std::count(text.begin(), found, '\n') + 1);
    auto offset = static_cast<size_t>(found - text.begin()), start = offset ? text.rfind('\n', offset - 1) + 1 : 0;
    diagnostics.error({file, line, static_cast<uint32_t>(utf8_length(text.substr(start, offset - start)) + 1), 1},
                      "a control character, U+00" + hex_byte(*found) + ": write it as \\x" + hex_byte(*found) + " in double quotes");
    return {};
  }
  Builder builder(sources, file, diagnostics);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {}
    return builder.result();
  } catch (const SpecError& e) {
    diagnostics.report(e.diagnostic);
  } catch (const YAML::Exception& e) {
    auto line = static_cast<uint32_t>(e.mark.line + 1);
    std::string_view shown = sources.line(file, line);
    // Some faults are noticed at the end of the text only: point at the last line that holds something.
    while (line > 1 && trim(shown).empty()) shown = sources.line(file, --line);
    size_t column = std::min(static_cast<size_t>(std::max(0, e.mark.column)), shown.size());
    Diagnostic d = explain(e.msg, shown);
    if (d.text == kTabs) column = std::min(shown.find('\t'), shown.size());
    d.loc = {file, line, static_cast<uint32_t>(utf8_length(shown.substr(0, column)) + 1), 1};
    diagnostics.report(std::move(d));
  }
  return {};
}

}  // namespace mlc
