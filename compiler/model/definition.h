// Definitions: functions, blocks, optimizers, schedules and transforms, of the standard library and of the user alike
// (language.md, section 6).
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/formula.h"
#include "compiler/spec/node.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlc {

enum class DefinitionKind : uint8_t { function, block, optimizer, schedule, transform };
std::string_view kind_name(DefinitionKind kind);      ///< "function", "block", ...

using NamedFormula = std::pair<std::string, ExprPtr>;

/// What an argument may be: `type` words joined by |, `words` that text must be one of.
struct ArgumentRule {
  std::vector<std::string> types;   ///< int number flag text list tensor steps formula; empty: anything
  std::vector<std::string> words;
  std::string doc;
  bool allows(std::string_view type) const;
};

/// A tensor that a definition owns. Formulas see the definition's names.
struct TensorRule {
  std::string name;
  Node shape, init;                 ///< as written; null kind: not given
  ExprPtr condition, stand_in;      ///< `if`, `else`; null: always there, 0
  Loc loc;
};

struct Requirement {
  ExprPtr condition;
  std::string message;              ///< may hold {name}: the value of that name
  Loc message_loc;
};

/// A lint: `after` names ops whose result should not come here, `after_parameter` one that the op before should lack, or
/// `when` says where this definition itself is doubtful.
struct LintRule {
  std::string code, message, after_parameter;
  ExprPtr when;
  std::vector<std::string> after;
};

struct Definition {
  DefinitionKind kind = DefinitionKind::function;
  Signature signature;
  std::string doc;
  bool is_std = false;
  uint32_t file = 0;                ///< `_names` are private to it
  const Node* body = nullptr;       ///< as written, on top of what it extends
  std::map<std::string, ArgumentRule> arguments;
  std::vector<Requirement> requirements;
  std::optional<int64_t> input_rank;
  std::string input_dtype = "any", input_text;        ///< `input: {rank, dtype, is}`
  std::vector<NamedFormula> let;
  std::vector<TensorRule> params, state;
  ExprPtr result;                   ///< `y`
  const Node* items = nullptr;      ///< a body of items; then `inputs` and `outputs` name its borders
  std::vector<std::string> inputs;
  std::vector<std::pair<std::string, std::string>> outputs;   ///< what each is called outside, and within; none: the last item's value
  std::vector<NamedFormula> grad, update, step;
  std::string target;               ///< index, number or any: a loss
  std::string prediction;           ///< probability or value; empty: none
  ExprPtr predict, predict_dim;
  ExprPtr rate;                     ///< schedules: `lr`
  std::string each = "step";        ///< schedules: when `update` runs
  bool fit = false;                 ///< transforms: `mean` and `std` of its state are the training rows'
  std::vector<LintRule> lints;
  bool faulty = false;              ///< the user's, and its fault has been reported: what uses it is unknown

  const std::string& name() const { return signature.name; }
  bool is_loss() const { return !target.empty(); }
};

/// Keys that a definition of this kind may have.
const std::vector<std::string>& keys_of(DefinitionKind kind);

/// Reads one definition, whose `extends` has been resolved. `body` must outlive the result. Throws SpecError on an unknown key or a
/// malformed value.
Definition read_definition(DefinitionKind kind, const Node& key, const Node& body, bool is_std);

}  // namespace mlc
