// What is shared while one graph is built.
#pragma once
#include "compiler/base/schema.h"
#include "compiler/graph/builder.h"
#include "compiler/graph/graph.h"
#include "compiler/model/env.h"
#include "compiler/model/library.h"
#include "compiler/model/model.h"

#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

namespace mlc {

class Networks;
class Rules;

/// The item that made a value: what lints look at.
struct Producer {
  std::string op, path;
  Loc loc;
  std::set<std::string> parameters;     ///< last names of its own
  bool shipped = false;                 ///< made within a definition of the standard library
};

/// The first loss that was applied to an output: what the output means.
struct LossUse {
  const Definition* definition = nullptr;
  std::map<std::string, Value> arguments;   ///< known at build time
  std::string target;                       ///< the column that the output is compared with; empty: none
  Loc loc;
};

/// A call of the user's own definition: what `check --grad` looks at.
struct DefinitionUse {
  const Definition* definition = nullptr;
  Loc loc;
  std::vector<std::pair<std::string, ValueId>> operands;   ///< tensors that are floats, by the argument's name
  ValueId result = kNoValue;
};

/// A parameter of this graph that may be trained.
struct Trainable {
  std::string path, op;
  TensorId tensor = -1;
  Loc loc;
};

/// A trained parameter that no loss reaches.
struct Unreached {
  std::string path;           ///< of a parameter
  Loc loc;                    ///< of its item
  std::string update;         ///< whose loss does not reach it; empty: there is one
};

/// A named value that the model puts out.
struct OutputValue {
  std::string name;
  ValueId value = kNoValue;
};

struct Context {
  Context(Library& library, const Schema& schema, const Rules& rules, Diagnostics& diagnostics, GraphKind kind, int64_t batch)
      : library(library), schema(schema), rules(rules), diagnostics(diagnostics), kind(kind), builder(graph) {
    graph.batch = batch;
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Library& library;
  const Schema& schema;
  const Rules& rules;
  Diagnostics& diagnostics;
  GraphKind kind;
  Graph graph;
  Builder builder;
  Env* vars = nullptr;                          ///< `vars:` of the spec

  bool eval_mode = false;                       ///< inside a network of `mode: eval`
  bool again = false;                           ///< inside a network that was called before: its tensors and rows are there
  Networks* networks = nullptr;                 ///< what formulas may call; null: nothing
  bool train() const { return (kind == GraphKind::train || kind == GraphKind::gradient) && !eval_mode; }

  int64_t position = INT64_MAX - 1;  ///< the step that decides which parameters are frozen; by default all that thaw are thawed
  bool all_thawed() const { return position == INT64_MAX - 1; }
  bool frozen(const std::string& path, const std::string& op) const;
  /// What the updates of a training step train, with the least `every` of theirs: the first step of the run at which they do.
  std::vector<std::pair<Trainable, int64_t>> trained;
  /// The same by path, of the whole step, for parameters with an average under `ema.`.
  std::map<std::string, int64_t> averaged;
  std::map<std::string, std::string> slot_owners;  ///< the parameter that a slot belongs to

  std::map<std::string, std::string> owners;  ///< op of the item that owns a state tensor, by path
  std::vector<StateTensor> state;  ///< as tensors come into being
  std::vector<Trainable> trainables;
  std::vector<CustomGradient> gradients;
  std::vector<DefinitionUse> uses;  ///< of GraphKind::gradient
  std::vector<LayerRow> rows;
  std::vector<Model::Fit> fits;
  std::map<ValueId, Producer> producers;
  std::map<ValueId, const ColumnSchema*> columns;  ///< input values by column
  std::string update;  ///< name of the update at work; each draws random numbers of its own
  std::map<std::string, int> draws;  ///< random calls per scope, which name their streams
  int64_t parameters = 0;
  double range = 1;  ///< data.range of the column in the transforms
  std::vector<OutputValue> outputs;  ///< what losses are looked for on
  std::map<std::string, LossUse> loss_uses;  ///< by the output's name
  std::vector<Unreached> unreached;
  bool full = false;  ///< the bound of layers was reached, and reported

  /// Keeps a call of the user's definition for GraphKind::gradient; other tensors than floats are left out.
  void add_use(const Definition& definition, Loc loc, const std::vector<std::pair<std::string, Value>>& operands, const Value& result);
  /// Adds a state tensor of this path with its store of initial values, and returns its value. Not trained unless `role`
  /// is parameter and no rule freezes it. `op` is the item that owns it.
  ValueId add_state(const std::string& path, const std::string& op, Role role, Type type, Initializer init, Loc loc);
  /// A parameter or running state by its path, -1 where it is not there: in evaluation the average where there is one.
  TensorId find_state(const std::string& path);
  /// The value of a state tensor at this point of the step: what the updates and layers so far have made of it. How they
  /// did so is constant for derivatives.
  ValueId value_of(TensorId tensor);
  bool is_state(TensorId tensor) const { return current_.count(tensor) != 0; }
  /// Gives a state tensor a new value from here on.
  void change(TensorId tensor, ValueId value);
  /// Stores what has changed, in order of the first change. Called once, when the step is complete.
  void store_changes();

private:
  bool averages(const std::string& path) const;
  std::map<TensorId, ValueId> current_;
  std::vector<TensorId> changed_;  ///< in order of the first change
  std::unordered_set<TensorId> ever_changed_;
  std::set<TensorId> fresh_;  ///< changed, and not read since
};

}  // namespace mlc
