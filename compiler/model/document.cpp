// `mlc doc NAME`: what a shipped definition says of itself.
#include "compiler/base/text.h"
#include "compiler/model/entries.h"
#include "compiler/model/library.h"
#include "compiler/model/model.h"
#include "compiler/model/primitives.h"

#include <algorithm>

namespace mlc {
namespace {

constexpr DefinitionKind kKinds[] = {DefinitionKind::block, DefinitionKind::function, DefinitionKind::transform, DefinitionKind::optimizer,
                                     DefinitionKind::schedule};

std::string signature_text(const Definition& d) {
  std::vector<std::string> parts;
  for (const Signature::Parameter& p : d.signature.parameters)
    parts.push_back(p.name + (p.fallback ? "=" + print_formula(*p.fallback) : ""));
  return d.name() + "(" + join(parts, ", ") + ")";
}

std::string argument_text(const ArgumentRule& rule) {
  std::vector<std::string> kinds = rule.words.empty() ? rule.types : rule.words;
  return (kinds.empty() ? "" : join(kinds, " | ") + "; ") + rule.doc;
}

std::string formulas_text(const char* title, const std::vector<NamedFormula>& formulas) {
  std::string out;
  for (const auto& [name, formula] : formulas) out += "    " + name + ": " + print_formula(*formula) + "\n";
  return out.empty() ? "" : std::string("  ") + title + ":\n" + out;
}

std::string setting_text(const Node& node) {
  std::vector<std::string> parts;
  for (const Node& item : node.items) parts.push_back(setting_text(item));
  for (const auto& [key, value] : node.entries) parts.push_back(key.text + " " + setting_text(value));
  return node.is(Node::Kind::list) ? "[" + join(parts, ", ") + "]" : node.is_scalar() ? node.text : join(parts, ", ");
}

// "weight [out, in.features], uniform 1 / sqrt(in.features)"
std::string tensor_text(const TensorRule& t) {
  std::string out = t.name;
  if (!t.shape.is(Node::Kind::null)) out += " " + setting_text(t.shape);
  return out + ", " + (t.init.is(Node::Kind::null) ? "0" : setting_text(t.init));
}

std::string describe(const Definition& d) {
  std::string out = signature_text(d) + "  (" + (d.is_loss() ? "loss" : std::string(kind_name(d.kind))) + ")\n  " + d.doc + "\n";
  size_t width = 14;
  for (const auto& [name, rule] : d.arguments) width = std::max(width, name.size());
  for (const Signature::Parameter& p : d.signature.parameters) {
    auto rule = d.arguments.find(p.name);
    if (rule != d.arguments.end())
      out += "    " + p.name + std::string(width + 2 - p.name.size(), ' ') + argument_text(rule->second) + "\n";
  }
  for (const Requirement& r : d.requirements) out += "  requires: " + print_formula(*r.condition) + "\n";
  if (!d.target.empty()) out += "  target: " + d.target + "\n";
  std::vector<std::string> tensors;
  for (const TensorRule& t : d.params) tensors.push_back(tensor_text(t));
  if (!tensors.empty()) out += "  parameters, with what they start from: " + join(tensors, "; ") + "\n";
  tensors.clear();
  for (const TensorRule& t : d.state) tensors.push_back(t.name + (t.condition ? " (if " + print_formula(*t.condition) + ")" : ""));
  if (!tensors.empty()) out += (d.kind == DefinitionKind::optimizer ? "  slots: " : "  state: ") + join(tensors, ", ") + "\n";
  out += formulas_text("let", d.let) + formulas_text("step", d.step);
  if (d.result) out += "  y: " + print_formula(*d.result) + "\n";
  if (d.rate) out += "  lr: " + print_formula(*d.rate) + "\n";
  return out + formulas_text("gradient", d.grad) + formulas_text("update", d.update);
}

}  // namespace

std::string document_entry(const std::string& name) {
  Sources sources;
  Library library(sources);
  std::string out;
  for (DefinitionKind kind : kKinds)
    if (name[0] != '_')
      if (const Definition* d = library.find(kind, name, 0)) out += (out.empty() ? "" : "\n") + describe(*d);
  if (const Primitive* p = find_primitive(name); p && out.empty()) {
    std::string parameters = replace_all(p->parameters, " ", ", ");
    out = name + "(" + replace_all(parameters, "?", "") + ")  (primitive)\n  " + p->doc + "\n";
  }
  return out;
}

std::vector<std::string> entry_names() {
  Sources sources;
  Library library(sources);
  std::vector<std::string> out;
  for (DefinitionKind kind : kKinds)
    for (std::string& name : library.names(kind)) out.push_back(std::move(name));
  for (const Primitive& p : primitives()) out.emplace_back(p.name);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<EntryInfo> entry_infos() {
  Sources sources;
  Library library(sources);
  std::vector<EntryInfo> out;
  for (DefinitionKind kind : kKinds)
    for (const std::string& name : library.names(kind)) {
      const Definition& d = *library.find(kind, name, 0);
      EntryInfo info{.name = name, .kind = d.is_loss() ? "loss" : std::string(kind_name(kind)), .doc = d.doc};
      for (const Signature::Parameter& p : d.signature.parameters) {
        EntryInfo::Argument a{.name = p.name, .fallback = p.fallback ? print_formula(*p.fallback) : "", .required = !p.fallback};
        if (auto rule = d.arguments.find(p.name); rule != d.arguments.end())
          a.doc = rule->second.doc, a.types = rule->second.types, a.words = rule->second.words;
        info.arguments.push_back(std::move(a));
      }
      for (const TensorRule& t : d.params) info.tensors.push_back(t.name);
      out.push_back(std::move(info));
    }
  for (const Primitive& p : primitives()) {
    EntryInfo info{.name = p.name, .kind = "primitive", .doc = p.doc};
    for (const std::string& name : split(p.parameters, ' ')) {
      bool optional = name.back() == '?';
      info.arguments.push_back({.name = optional ? name.substr(0, name.size() - 1) : name, .required = !optional});
    }
    out.push_back(std::move(info));
  }
  return out;
}

std::vector<std::string> definition_keys(const std::string& section) {
  for (DefinitionKind kind : kKinds)
    if (section == std::string(kind_name(kind)) + "s") return keys_of(kind);
  throw InternalError("no section of definitions is called " + section);
}

}  // namespace mlc
