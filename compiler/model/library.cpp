#include "compiler/model/library.h"

#include "compiler/base/text.h"
#include "compiler/model/definition_names.h"
#include "compiler/model/primitives.h"
#include "compiler/model/std_files.h"
#include "compiler/spec/merge.h"
#include "compiler/spec/spec.h"
#include "compiler/spec/yaml.h"

#include <algorithm>
#include <optional>

namespace mlc {
namespace {

constexpr std::pair<const char*, DefinitionKind> kSections[] = {{"functions", DefinitionKind::function},
                                                                {"blocks", DefinitionKind::block},
                                                                {"optimizers", DefinitionKind::optimizer},
                                                                {"schedules", DefinitionKind::schedule},
                                                                {"transforms", DefinitionKind::transform}};

std::optional<DefinitionKind> section_kind(std::string_view line) {
  for (auto [name, kind] : kSections)
    if (line == std::string(name) + ":") return kind;
  return std::nullopt;
}

}  // namespace

Library::Library(Sources& sources) : sources_(sources) {
  for (size_t file = 0; file < std_files().size(); ++file) index(file);
}

// The embedded files are ours: entries stand at two spaces under their section, so that a look at each line's start finds
// them and only those that are used are parsed.
void Library::index(size_t file) {
  std::string_view text = std_files()[file].text;
  std::optional<DefinitionKind> kind;
  Entry* open = nullptr;
  size_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view content = text.substr(begin, end - begin);
    ++line;
    bool entry = content.size() > 2 && content.substr(0, 2) == "  " && content[2] != ' ' && content[2] != '#';
    bool section = !content.empty() && content[0] != ' ' && content[0] != '#';
    if ((entry || section) && open) open->end = begin, open = nullptr;
    if (section) kind = section_kind(content);
    if (entry && kind) {
      std::string_view name = content.substr(content[2] == '"' ? 3 : 2);
      name = name.substr(0, name.find_first_of("(:"));
      open = &std_[{*kind, std::string(name)}];
      *open = {file, begin, text.size(), line, nullptr};
    }
    begin = end + 1;
  }
}

const Definition* Library::parse(DefinitionKind kind, Entry& entry) {
  if (entry.parsed) return entry.parsed;
  const StdFile& file = std_files()[entry.file];
  // Empty lines in front keep the entry at its line in the file.
  std::string text =
      std::string(entry.line - 1, '\n') + std::string(std::string_view(file.text).substr(entry.begin, entry.end - entry.begin));
  uint32_t source = sources_.add(file.name, std::move(text));
  std_file_of_[source] = entry.file;
  Diagnostics faults(sources_);
  nodes_.push_back(parse_yaml(sources_, source, faults));
  const Node& node = nodes_.back();
  if (faults.errors() || !node.is(Node::Kind::map) || node.entries.size() != 1)
    throw InternalError("standard library, " + std::string(file.name) + ":" + std::to_string(entry.line) + "\n" + faults.render());
  try {
    definitions_.push_back(read(kind, node.entries[0].first, node.entries[0].second, true));
  } catch (const SpecError& e) {
    throw InternalError("standard library, " + std::string(file.name) + ":" + std::to_string(e.diagnostic.loc.line) + ": " + e.what());
  }
  return entry.parsed = &definitions_.back();
}

namespace {

// In place of a definition that cannot be read: what uses it says nothing more.
Definition faulty_definition(DefinitionKind kind, const Node& key) {
  Definition d;
  d.kind = kind;
  d.faulty = true;
  d.file = key.loc.file;
  std::string head = starts_with(key.text, "override ") ? key.text.substr(9) : key.text;
  d.signature.name = head.substr(0, head.find_first_of("( "));
  d.signature.loc = key.loc;
  return d;
}

}  // namespace

Definition Library::read(DefinitionKind kind, const Node& key, const Node& body, bool is_std) {
  const Node* name = body.is(Node::Kind::map) ? body.find("extends") : nullptr;
  if (!name) return read_definition(kind, key, body, is_std);
  const Definition* base = find(kind, name->text, name->loc.file);
  if (!base) throw SpecError(unknown_name(name->loc, std::string(kind_name(kind)), name->text, names(kind)));
  if (base->faulty) return faulty_definition(kind, key);
  if (!base->body->is(Node::Kind::map)) throw SpecError(name->loc, "'" + name->text + "' is no map of keys that could be extended");
  Node lower = *base->body;
  std::erase_if(lower.entries, [](const auto& e) { return e.first.text == "extends"; });
  nodes_.push_back(merged(std::move(lower), body));
  return read_definition(kind, key, nodes_.back(), is_std);
}

void Library::add_user(const Node& spec, Diagnostics& diagnostics) {
  for (auto [section, kind] : kSections) {
    const Node* map = spec.find(section);
    if (!map || !map->is(Node::Kind::map)) continue;
    for (const auto& [key, body] : map->entries) {
      try {
        Definition d = read(kind, key, body, false);
        if (d.faulty) {
          add_faulty(std::move(d));
          continue;
        }
        const std::string name = d.name();
        auto shipped = std_.find({kind, name});   // its private names hinder nobody
        bool builtin = (shipped != std_.end() && visible(name, shipped->second.file, key.loc.file)) ||
                       (kind == DefinitionKind::function && find_primitive(name));
        if (builtin && !d.signature.overrides)
          throw SpecError(d.signature.loc, "'" + name + "' is a built-in " + std::string(kind_name(kind)) + "; write 'override " +
                                               key.text + "' to replace it");
        if (!builtin && d.signature.overrides)
          throw SpecError(unknown_name(d.signature.loc, "built-in " + std::string(kind_name(kind)), name, names(kind)));
        definitions_.push_back(std::move(d));
        Definition*& place = user_[{kind, name}];
        if (place) throw SpecError(key.loc, "'" + name + "' is defined twice", {{place->signature.loc, "first here"}});
        place = &definitions_.back();
      } catch (const SpecError& e) {
        diagnostics.report(e.diagnostic);
        add_faulty(faulty_definition(kind, key));
      }
    }
  }
}

void Library::add_faulty(Definition d) {
  std::pair name{d.kind, d.name()};
  if (std_.count(name) || user_.count(name)) return;
  definitions_.push_back(std::move(d));
  user_[name] = &definitions_.back();
}

void Library::check_user_names(const NamesAround& around, Diagnostics& diagnostics) {
  for (auto& [key, definition] : user_) {
    if (definition->faulty) continue;
    try {
      check_definition_names(*definition, around, *this);
    } catch (const SpecError& e) {
      diagnostics.report(e.diagnostic);
      definition->faulty = true;
    }
  }
}

bool Library::visible(const std::string& name, size_t std_file, uint32_t asking) const {
  if (name[0] != '_') return true;
  auto it = std_file_of_.find(asking);
  return it != std_file_of_.end() && it->second == std_file;
}

const Definition* Library::find_user(DefinitionKind kind, const std::string& name, uint32_t file) const {
  if (std_file_of_.count(file)) return nullptr;
  auto it = user_.find({kind, name});
  return it == user_.end() ? nullptr : it->second;
}

const Definition* Library::find(DefinitionKind kind, const std::string& name, uint32_t file) {
  if (const Definition* user = find_user(kind, name, file)) return user;
  auto it = std_.find({kind, name});
  return it == std_.end() || !visible(name, it->second.file, file) ? nullptr : parse(kind, it->second);
}

std::vector<std::string> Library::names(DefinitionKind kind) const {
  std::vector<std::string> out;
  for (const auto& [key, entry] : std_)
    if (key.first == kind && key.second[0] != '_') out.push_back(key.second);
  for (const auto& [key, definition] : user_)
    if (key.first == kind) out.push_back(key.second);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace mlc
