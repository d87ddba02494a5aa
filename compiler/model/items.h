// Items: layers and transforms. Walks lists of items, names what they make, and expands definitions into the graph.
#pragma once
#include "compiler/model/evaluator.h"
#include "compiler/model/library.h"
#include "compiler/model/primitives.h"
#include "compiler/spec/node.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace mlc {

/// A scope of names and parameter paths: a model, a group, a block's body.
struct ItemScope {
  std::string prefix;                 ///< of parameter paths: "", "residual1.", ...
  Env env;                            ///< named values, arguments, indices of repeats; its parents are what can be seen
  int depth = 0;
  std::map<std::string, int> counts;  ///< unnamed items per op
  std::map<std::string, Loc> taken;   ///< names given, with the items that have them
  ItemScope(std::string prefix, Env* around, int depth) : prefix(std::move(prefix)), env(around), depth(depth) {}
};

/// One item, taken apart. Pointers are into the spec.
struct Item {
  std::string op;
  Loc loc;                            ///< of the op's name
  const Node* value = nullptr;        ///< null: no arguments
  const Node *as = nullptr, *from = nullptr, *init = nullptr, *repeat = nullptr, *condition = nullptr, *on = nullptr, *shortcut = nullptr;
};
/// Throws SpecError at what is malformed.
Item read_item(const Node& node);
/// The arguments of an item by name: a value alone is that of `main`, also where a --set has put others beside it.
Node named_arguments(const Node& value, const std::string& main);

/// layers, residual, add, ...: items that join other items (entries.h lists them).
bool is_structural(const std::string& op);

/// What an item's op stands for: a definition, or a primitive whose first argument is the item's input. Neither: it is not known, or
/// structural, or a loss.
struct ItemOp {
  const Definition* definition = nullptr;
  const Primitive* primitive = nullptr;
  explicit operator bool() const { return definition || primitive; }
  /// Inputs of the item are the first arguments; a block or transform has them beside its arguments.
  bool takes_inputs() const { return primitive || (definition && definition->kind == DefinitionKind::function); }
  /// Names of its arguments in order, those of the inputs too.
  std::vector<std::string> parameters() const;
};
/// `file` is the one that asks. Transforms are sought in their own table first.
ItemOp find_item_op(Library& library, const std::string& op, uint32_t file, bool transforms);

class Items {
public:
  explicit Items(Evaluator& evaluator) : evaluator_(evaluator), context_(evaluator.context()) {}

  /// Runs a list of items on `input`; the result is the last one's. Faults of single items are reported, and the values
  /// after them are unknown. Transforms are sought in their own table first.
  Value run(const Node& list, ItemScope& scope, Value input, bool transforms = false);
  /// Runs one item; throws SpecError.
  Value run_item(const Item& item, ItemScope& scope, const Value& input, bool transforms);
  /// The value that a name of `from` stands for.
  Value named(const std::string& name, ItemScope& scope, Loc loc);

private:
  struct Call {                       // an item about to be applied
    const Item& item;
    ItemScope& scope;
    std::string name, path;
    std::vector<Value> inputs;
    Env env;                          // the scope's names with `in`
    Call(const Item& item, ItemScope& scope) : item(item), scope(scope), env(&scope.env) {}
  };
  std::string name_item(const Item& item, ItemScope& scope, int64_t repetition);
  Value once(const Item& item, ItemScope& scope, const Value& input, int64_t repetition, bool transforms);
  Value apply(Call& call, bool transforms);
  Value structural(Call& call);
  Value group(Call& call, const Node& list, const std::string& prefix);
  /// From outside, a name within is reached by its dotted path.
  void reach_within(Call& call, const ItemScope& inner);
  Value residual(Call& call);
  Value joined(Call& call);
  Value join_values(Call& call);
  void note_shape(Diagnostic& diagnostic, const Value& value, const std::string& what);
  Value apply_block(Call& call, const Definition& definition, const std::vector<Given>& given);
  Value block_of_items(Call& call, const Definition& definition, Env& names);
  Value block_of_formulas(Call& call, const Definition& definition, Env& arguments);
  Value own_tensor(Call& call, const Definition& definition, const TensorRule& rule, Role role, Env& names);
  Value tied(Call& call, const Node& target, const Shape& shape);
  void update_state(Call& call, const Definition& definition, Env& names);
  void check_input(Call& call, const Definition& definition);
  std::vector<Given> given_of(Call& call, const Definition* definition, const std::vector<std::string>& parameters, size_t inputs);
  void remember(Call& call, const Value& value);

  Evaluator& evaluator_;
  Context& context_;
  std::set<std::string> own_;         // last names of the parameters of the item at work
};

}  // namespace mlc
