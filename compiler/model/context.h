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
#include <vector>

namespace mlc {

class Rules;

/// The item that made a value: what lints look at.
struct Producer {
  std::string op, path;
  Loc loc;
  std::set<std::string> parameters;     ///< last names of its own
};

/// The first loss that was applied to the model's output: what the output means.
struct LossUse {
  const Definition* definition = nullptr;
  std::map<std::string, Value> arguments;   ///< known at build time
  Loc loc;
};

/// A parameter of this graph that may be trained.
struct Trainable {
  std::string path, op;
  ValueId value = kNoValue;
  Loc loc;
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

  bool train() const { return kind == GraphKind::train; }

  std::map<std::string, std::string> owners;    ///< op of the item that owns a state tensor, by path
  std::vector<StateTensor> state;               ///< as tensors come into being
  std::vector<Trainable> trainables;
  std::vector<CustomGradient> gradients;
  std::vector<LayerRow> rows;
  std::vector<Model::Fit> fits;
  std::map<ValueId, Producer> producers;
  std::map<ValueId, const ColumnSchema*> columns;   ///< input values by column
  std::map<std::string, int> draws;                 ///< random calls per scope, which name their streams
  int64_t parameters = 0;
  double range = 1;                                 ///< data.range of the column in the transforms
  ValueId output = kNoValue;
  LossUse loss_use;

  /// Adds a state tensor of this path with its store of initial values, and returns its value. Not trained unless `role`
  /// is parameter and no rule freezes it. `op` is the item that owns it.
  ValueId add_state(const std::string& path, const std::string& op, Role role, Type type, Initializer init, Loc loc);
};

}  // namespace mlc
