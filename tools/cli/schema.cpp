// mlc schema: the spec language as JSON Schema, from the vocabulary and the standard library.
//
// A string may stand for any number (a formula) and names may be the user's own, so the schema tells unknown keys and arguments, wrong
// kinds and wrong words; what values mean is `mlc check`'s business.
#include "compiler/base/text.h"
#include "compiler/model/entries.h"
#include "tools/cli/cli.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <iostream>

namespace mlc {
namespace {

using Json = nlohmann::ordered_json;

Json of_type(const char* type) { return {{"type", type}}; }
Json reference(const std::string& name) { return {{"$ref", "#/$defs/" + name}}; }
Json any_of(std::vector<Json> forms) {
  if (forms.size() == 1) return forms[0];
  return {{"anyOf", forms}};
}
// A name that editors complete, or the user's own.
Json open_words(const std::vector<std::string>& words) { return any_of({{{"enum", words}}, of_type("string")}); }

bool has(const std::vector<std::string>& list, const char* word) { return std::find(list.begin(), list.end(), word) != list.end(); }

class Schema {
public:
  Schema() : entries_(entry_infos()), keys_(key_infos()) {}

  Json make() {
    Json root = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "mlc spec"}};
    root.update(section(""));
    root["patternProperties"] = {{"^x-", true}};
    Json& defs = root["$defs"];
    defs["number"] = {{"anyOf", {of_type("number"), of_type("string")}}, {"description", "a number, or a formula"}};
    defs["flag"] = any_of({of_type("boolean"), of_type("string")});
    defs["items"] = {{"type", "array"}, {"items", reference("item")}};
    defs["names"] = any_of({of_type("string"), {{"type", "array"}, {"items", of_type("string")}}});
    defs["item"] = item(false);
    defs["transform"] = item(true);
    defs["rule"] = rule();
    for (const char* kind : {"loss", "optimizer", "schedule"}) defs[kind] = typed(kind);
    return root;
  }

private:
  // --- keys ---
  std::vector<const KeyInfo*> children(const std::string& path) const {
    std::vector<const KeyInfo*> out;
    for (const KeyInfo& k : keys_) {
      size_t dot = k.path.rfind('.');
      if ((dot == std::string::npos ? "" : k.path.substr(0, dot)) == path && !k.planned) out.push_back(&k);
    }
    return out;
  }

  Json section(const std::string& path) const {
    Json properties = Json::object();
    for (const KeyInfo* k : children(path)) {
      Json value = key(*k);
      // As if it were not given: what undoes an included file's.
      bool own_word = has(k->kinds, "none") || has(k->kinds, "any") || has(k->kinds, "text") || has(k->kinds, "name");
      if (!own_word) value = any_of({value, {{"const", "none"}}});
      value["description"] = k->doc;
      if (!k->fallback.empty())
        value["default"] =
            parse_real(k->fallback) || k->fallback == "true" || k->fallback == "false" ? Json::parse(k->fallback) : Json(k->fallback);
      properties[k->path.substr(k->path.rfind('.') + 1)] = std::move(value);
    }
    return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  }

  Json key(const KeyInfo& k) const {
    if (k.path == "model") return network();
    if (k.path == "models") return {{"type", "object"}, {"additionalProperties", network()}};
    if (k.path == "train.updates") return {{"type", "object"}, {"additionalProperties", update()}};
    if (k.path == "train.loss") return reference("loss");
    if (k.path == "train.optimizer") return reference("optimizer");
    if (k.path == "train.schedule") return any_of({reference("schedule"), {{"type", "array"}, {"items", reference("schedule")}}});
    if (k.path == "init" || k.path == "train.params") return {{"type", "array"}, {"items", reference("rule")}};
    if (k.path == "lints") {
      Json names = Json::object();
      for (const std::string& name : lint_names()) names[name] = {{"enum", {"on", "off", true, false}}};
      return {{"type", "object"}, {"properties", names}, {"additionalProperties", false}};
    }
    for (const char* kind : {"functions", "blocks", "optimizers", "schedules"})
      if (k.path == kind) return {{"type", "object"}, {"additionalProperties", definition(kind)}};
    if (has(k.kinds, "any")) return Json::object();
    std::vector<Json> forms;
    if (has(k.kinds, "integer") || has(k.kinds, "number")) forms.push_back(has(k.kinds, "word") ? of_type("number") : reference("number"));
    if (has(k.kinds, "flag")) forms.push_back(of_type("boolean"));
    if (has(k.kinds, "word")) forms.push_back({{"enum", k.words}});
    if (has(k.kinds, "quantity")) forms.push_back({{"type", "string"}, {"pattern", "[a-zA-Z%]\\s*$"}});
    if (has(k.kinds, "text") || has(k.kinds, "formula") || has(k.kinds, "name"))
      forms.push_back(any_of({of_type("string"), of_type("number")}));
    if (has(k.kinds, "none")) forms.push_back({{"const", "none"}});
    if (has(k.kinds, "items"))
      forms.push_back({{"type", "array"}, {"items", reference(k.path.find("transforms") == std::string::npos ? "item" : "transform")}});
    if (has(k.kinds, "list")) forms.push_back(of_type("array"));
    if (has(k.kinds, "map") || has(k.kinds, "name")) forms.push_back(children(k.path).empty() ? of_type("object") : section(k.path));
    return any_of(forms);
  }

  // Items, or a map of them with its borders.
  static Json network() {
    Json properties = {
        {"layers", reference("items")}, {"inputs", of_type("object")}, {"outputs", true}, {"mode", {{"enum", {"train", "eval"}}}}};
    return any_of(
        {reference("items"), {{"type", "object"}, {"required", {"layers"}}, {"properties", properties}, {"additionalProperties", false}}});
  }

  Json update() const {
    Json properties = {{"params", reference("names")},
                       {"forward", {{"type", "object"}, {"additionalProperties", reference("number")}}},
                       {"loss", reference("loss")},
                       {"optimizer", reference("optimizer")},
                       {"schedule", any_of({reference("schedule"), {{"type", "array"}, {"items", reference("schedule")}}})},
                       {"every", any_of({of_type("integer"), of_type("string")})},
                       {"clip", section("train.clip")}};
    return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  }

  Json definition(const std::string& section) const {
    Json properties = Json::object();
    for (const std::string& name : definition_keys(section)) properties[name] = name == "layers" ? reference("items") : Json(true);
    if (properties.contains("args")) {
      Json argument = {
          {"type", "object"}, {"properties", {{"type", true}, {"words", true}, {"doc", true}}}, {"additionalProperties", false}};
      properties["args"] = {{"type", "object"}, {"additionalProperties", argument}};
    }
    return any_of({of_type("string"),
                   of_type("number"),
                   reference("items"),
                   {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}}});
  }

  // --- definitions ---
  static Json argument(const EntryInfo::Argument& a) {
    std::vector<Json> forms;
    bool number = has(a.types, "int") || has(a.types, "number") || has(a.types, "steps") || has(a.types, "tensor");
    if (number) forms.push_back(of_type("number"));
    if (has(a.types, "flag")) forms.push_back(of_type("boolean"));
    if (has(a.types, "list")) forms.push_back(of_type("array"));
    if (!a.words.empty()) forms.push_back({{"enum", a.words}});
    // A formula may stand everywhere; `null` is an argument that is not given.
    forms.push_back(of_type("string"));
    forms.push_back(of_type("null"));
    Json out = a.types.empty() && a.words.empty() ? Json::object() : any_of(forms);
    std::string doc = a.doc + (a.fallback.empty() ? "" : (a.doc.empty() ? "default " : "; default ") + a.fallback);
    if (!doc.empty()) out["description"] = doc;
    return out;
  }

  // {args}, or the main argument alone. `skip`: leading arguments that are the op's tensors.
  static Json call(const EntryInfo& e, size_t skip) {
    Json properties = Json::object(), required = Json::array();
    for (size_t i = skip; i < e.arguments.size(); ++i) properties[e.arguments[i].name] = argument(e.arguments[i]);
    for (const std::string& tensor : e.tensors)
      if (!properties.contains(tensor)) properties[tensor] = {{"type", "string"}, {"description", "the parameter to share"}};
    Json map = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    std::vector<Json> forms = {map, of_type("null")};
    if (skip < e.arguments.size()) {
      Json main = argument(e.arguments[skip]);
      main.erase("description");
      if (main.empty()) return {{"description", e.doc}};
      forms.push_back(std::move(main));
    }
    Json out = any_of(forms);
    out["description"] = e.doc;
    return out;
  }

  Json item(bool transform) const {
    Json ops = Json::object();
    std::vector<std::string> names;
    for (const EntryInfo& e : entries_) {
      bool tensor_first = (e.kind == "function" || e.kind == "primitive") && !e.arguments.empty() && e.arguments[0].name == "x";
      bool op = e.kind == "block" || tensor_first || (transform && e.kind == "transform");
      if (!op || ops.contains(e.name)) continue;
      names.push_back(e.name);
      ops[e.name] = call(e, tensor_first ? 1 : 0);
    }
    for (const std::string& name : structural_ops()) names.push_back(name);
    ops["layers"] = ops["residual"] = ops["shortcut"] = reference("items");
    ops["add"] = ops["mul"] = ops["matmul"] =
        any_of({{{"type", "array"}, {"items", of_type("string")}}, of_type("object"), of_type("null")});
    ops["concat"] = {
        {"type", "object"}, {"properties", {{"dim", reference("number")}}}, {"required", {"dim"}}, {"additionalProperties", false}};
    ops["expr"] = reference("number");
    if (transform) {
      ops["resize"] = true;
      ops["one_hot"] = true;
    }
    ops["as"] = {{"type", "string"}, {"description", "the name of the result, and of the layer in parameter paths"}};
    ops["from"] = reference("names");
    ops["from"]["description"] = "the named value, or values, that the op reads instead of the one before";
    ops["init"] = {{"type", "object"}, {"description", "initialisers of the item's parameters"}};
    ops["repeat"] = any_of({reference("number"), {{"type", "object"}, {"maxProperties", 1}}});
    ops["if"] = {{"description", "a condition known at build time"}};
    ops["on"] = {{"enum", {"train", "eval", "all"}}};
    return any_of({open_words(names), {{"type", "object"}, {"properties", ops}}});
  }

  // A name, or a map with `type` and that entry's arguments.
  Json typed(const std::string& kind) const {
    std::vector<std::string> names;
    Json cases = Json::array();
    for (const EntryInfo& e : entries_) {
      if (e.kind != kind) continue;
      names.push_back(e.name);
      Json properties = {{"type", true}};
      if (kind == "schedule")
        properties["warmup"] = properties["for"] = {{"type", "string"}, {"description", "with its unit, as in 500 steps"}};
      for (size_t i = kind == "loss" ? std::min<size_t>(2, e.arguments.size()) : 0; i < e.arguments.size(); ++i)
        properties[e.arguments[i].name] = argument(e.arguments[i]);
      cases.push_back({{"if", {{"properties", {{"type", {{"const", e.name}}}}}, {"required", {"type"}}}},
                       {"then", {{"description", e.doc}, {"properties", properties}, {"additionalProperties", false}}}});
    }
    if (kind == "schedule") {
      names.emplace_back("formula");
      Json properties = {{"type", true}, {"lr", reference("number")}, {"warmup", of_type("string")}, {"for", of_type("string")}};
      cases.push_back({{"if", {{"properties", {{"type", {{"const", "formula"}}}}}, {"required", {"type"}}}},
                       {"then", {{"properties", properties}, {"additionalProperties", false}}}});
    }
    Json map = {{"type", "object"}, {"required", {"type"}}, {"properties", {{"type", open_words(names)}}}, {"allOf", cases}};
    std::vector<Json> forms = {open_words(names), map};
    if (kind == "loss") forms.push_back(of_type("number"));
    if (kind == "schedule") forms.push_back({{"type", "null"}});
    return any_of(forms);
  }

  Json rule() const {
    return {{"type", "object"},
            {"properties",
             {{"match", reference("names")},
              {"op", of_type("string")},
              {"lr", reference("number")},
              {"weight_decay", reference("number")},
              {"frozen", any_of({of_type("boolean"), of_type("string")})},
              {"load", of_type("string")},
              {"rename", of_type("object")}}}};
  }

  std::vector<EntryInfo> entries_;
  std::vector<KeyInfo> keys_;
};

}  // namespace

int schema_command(int argc, char** argv) {
  Arguments a("schema", "Prints the JSON Schema (draft 2020-12) of specs. Editors with a YAML language server complete and check with it.",
              {});
  a.example("mlc schema > mlc.schema.json\n  then, as the first line of a spec: # yaml-language-server: $schema=mlc.schema.json");
  if (!a.parse(argc, argv)) return kDone;
  std::cout << Schema().make().dump(1) << "\n";
  return kDone;
}

}  // namespace mlc
