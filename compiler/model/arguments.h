// Arguments as written in YAML, read as values.
#pragma once
#include "compiler/model/evaluator.h"
#include "compiler/spec/node.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// The value of a node: numbers, flags and lists as they are; text is one of the rule's words, text where the argument
/// takes text only, else a formula over `env`. Throws SpecError for a map.
Value read_argument(const Node& node, const ArgumentRule* rule, Env& env, Evaluator& evaluator);

/// The text that a text node stands for under `rule`; nothing where it is a formula. `known` tells the names that formulas see here, which
/// `names` lists. Throws SpecError at `place` for a misspelt word.
std::optional<std::string> argument_text(const Node& node, const ArgumentRule& rule, const std::function<bool(const std::string&)>& known,
                                         const std::function<std::vector<std::string>()>& names, Loc place);

/// A setting `type: name` with its arguments, or a bare name: `optimizer: adam`, `loss: {type: huber, delta: 2}`.
struct TypedSetting {
  std::string type;
  Loc loc;                      ///< of the name
  const Node* map = nullptr;    ///< null: a bare name
};
/// Throws SpecError where `node` (the value of `key`) has neither form.
TypedSetting read_typed(const std::string& key, const Node& node);

/// The definition that a typed setting names; throws SpecError with the nearest name.
const Definition& find_typed(Library& library, DefinitionKind kind, const TypedSetting& setting);

/// The arguments of a typed setting but `type` and the keys in `reserved`; unknown ones are left for bind() to report.
std::vector<Given> typed_arguments(const Definition& definition, const TypedSetting& setting, const std::vector<std::string>& reserved,
                                   Env& env, Evaluator& evaluator);

}  // namespace mlc
