// Builds one graph of a spec: the data's columns and their transforms, the networks, and what the kind of graph asks for.
#pragma once
#include "compiler/model/items.h"
#include "compiler/model/networks.h"
#include "compiler/model/update_settings.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace mlc {

/// What all graphs of a model are made from.
struct ModelSource {
  const Node& spec;
  const Schema& schema;
  Library& library;
  const Rules& rules;
  const std::vector<Network>& networks;
  const std::vector<UpdateSetting>& updates;             ///< none: the spec has no `train`
  const std::map<std::string, LossUse>& loss_uses;       ///< by output, as the training graph found them
  const std::map<std::string, int64_t>& averaged;        ///< Context::averaged, as the training graph found it
  const size_t& fitted;                                  ///< transforms whose state is there
};

class StepBuilder {
public:
  StepBuilder(const ModelSource& source, GraphKind kind, int64_t batch, const StepForm& form, Diagnostics& diagnostics);

  /// Builds the graph into `context`; faults are reported.
  void run();
  /// Makes `vars:` known. Part of run().
  void bind_vars();

private:
  Env vars_;

public:
  Context context;
  Evaluator evaluator;
  std::vector<ModelOutput> outputs;                      ///< of eval and predict graphs
  GradientGraph derivatives;                             ///< of GraphKind::gradient, but its graph

private:
  void build();
  Value read_columns(Env& data);
  bool transform_inputs(Env& data, Value first);
  Value transform(const Node& list, const std::string& scope, Value x);
  void forward(const UpdateSetting& update, Env& data, Env& names);
  void call_model(Env& data, Env& names, Loc loc);
  Loc single_loc(const UpdateSetting& update) const;
  void train_step(Env& data);
  void differentiate_losses(Env& data);
  void evaluation(Env& data);
  void put_outputs();
  ValueId loss_of(const UpdateSetting& update, Env& names);
  ValueId checked_loss(const UpdateSetting& update, Env& names);
  void add_output(const std::string& name, const Value& value);
  ValueId as_float(ValueId v);

  ModelSource source_;
  Items items_;
  Networks networks_;
  StepForm form_;
};

}  // namespace mlc
