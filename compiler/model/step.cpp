#include "compiler/model/step.h"

#include "compiler/base/text.h"
#include "compiler/model/arguments.h"
#include "compiler/model/averages.h"
#include "compiler/model/gradients.h"
#include "compiler/model/lints.h"
#include "compiler/model/losses.h"
#include "compiler/model/optimizer.h"
#include "compiler/model/rules.h"
#include "compiler/model/vars.h"
#include "compiler/spec/spec.h"

#include <algorithm>

namespace mlc {
namespace {

using Kind = Value::Kind;

// What the data module does when it loads: these stand in front of the transforms that the program runs.
bool runs_at_load(const Item& item) {
  return item.op == "resize" || (item.op == "one_hot" && item.value && item.value->is(Node::Kind::map) && item.value->find("columns"));
}

}  // namespace

StepBuilder::StepBuilder(const ModelSource& source, GraphKind kind, int64_t batch, const StepForm& form, Diagnostics& diagnostics)
    : context(source.library, source.schema, source.rules, diagnostics, kind, batch), evaluator(context), source_(source),
      items_(evaluator), networks_(source.networks, items_, evaluator), form_(form) {
  context.averaged = source.averaged;
  context.vars = &vars_;
  context.networks = &networks_;
}

void StepBuilder::run() {
  bind_vars();
  try {
    build();
  } catch (const SpecError& e) {
    context.diagnostics.report(e.diagnostic);
  }
}

void StepBuilder::bind_vars() { mlc::bind_vars(source_.spec, vars_, evaluator, context.diagnostics); }

void StepBuilder::build() {
  Env data(&vars_);
  Value x = read_columns(data);
  if (transform_inputs(data, x) || context.kind == GraphKind::fit) return;
  if (context.kind == GraphKind::train) train_step(data);
  else if (context.kind == GraphKind::gradient) differentiate_losses(data);
  else evaluation(data);
  if (context.diagnostics.errors()) return;
  if (context.train() || source_.updates.empty()) warn_unused(context);
  for (const Network* network : networks_.uncalled())
    context.diagnostics.warning(network->loc, "unused-value", "no formula calls the network '" + network->name + "'");
}

ValueId StepBuilder::as_float(ValueId v) { return is_float(context.graph.type(v).dtype) ? v : context.builder.cast(v, DType::f32); }

// Input tensors by their columns' names; the first input is what the transforms run on.
Value StepBuilder::read_columns(Env& data) {
  Value first = Value::make_unknown();
  bool any = false;
  for (const ColumnSchema& column : source_.schema.columns) {
    bool with_targets = context.train() || context.kind == GraphKind::eval;
    if (column.target && !with_targets) {
      // What hangs on a target is left out of a prediction.
      data.set(column.name, Value::make_unknown());
      continue;
    }
    ValueId v = context.builder.input(context.builder.add_tensor({column.name, column.type, Role::input, column.pitch}));
    context.columns[v] = &column;
    data.set(column.name, Value::of_tensor(v));
    if (column.target || any) continue;
    any = true;
    first = Value::of_tensor(v);
    context.range = column.range;
  }
  // A target of a table goes by its column's name too, where this is free.
  for (const ColumnSchema& column : source_.schema.columns)
    if (column.target && column.features.size() == 1 && !data.find(column.features[0]))
      data.set(column.features[0], *evaluator.lookup(column.name, data, {}));
  // Without a schema the data are at fault, which has been said: the model is checked as far as it goes.
  if (!any && !source_.schema.columns.empty()) throw SpecError(source_.spec.loc, "the data have no input column");
  return first;
}

// One list for the first input, or a list for each by name. True: a fit graph has what it was to put out.
bool StepBuilder::transform_inputs(Env& data, Value first) {
  data.set("x", first);
  const Node* section = source_.spec.find("data");
  const Node* lists = section ? section->find("transforms") : nullptr;
  if (!lists || !first.is(Kind::tensor)) return false;
  auto run = [&](const Node& list, const std::string& scope, const std::string& name, Value x) {
    const ColumnSchema* column = context.columns.at(x.tensor);
    context.range = column->range;
    x = transform(list, scope, x);
    data.set(name, x);
    if (x.is(Kind::unknown) || column->name == context.columns.at(first.tensor)->name) data.set("x", x);
    return context.kind == GraphKind::fit && context.fits.size() > source_.fitted;
  };
  if (lists->is(Node::Kind::list)) return run(*lists, "data.", context.columns.at(first.tensor)->name, first);
  for (const auto& [name, list] : lists->entries) {
    std::vector<std::string> known;
    for (const ColumnSchema& column : source_.schema.columns)
      if (!column.target) known.push_back(column.name);
    if (std::find(known.begin(), known.end(), name.text) == known.end()) throw SpecError(unknown_name(name.loc, "input", name.text, known));
    if (!list.is(Node::Kind::list)) throw SpecError(list.loc, "the transforms of an input are a list");
    if (run(list, "data." + name.text + ".", name.text, *evaluator.lookup(name.text, data, name.loc))) return true;
  }
  return false;
}

Value StepBuilder::transform(const Node& list, const std::string& prefix, Value x) {
  ItemScope scope(prefix, &vars_, 0);
  scope.env.set("x", x);
  bool in_program = false;
  for (const Node& node : list.items) {
    Value before = x;
    try {
      Item item = read_item(node);
      if (runs_at_load(item)) {
        if (in_program)
          throw SpecError(item.loc, "'" + item.op + "' runs when the data are loaded: it must stand before the transforms of the program");
        continue;
      }
      in_program = true;
      x = items_.run_item(item, scope, x, true);
    } catch (const SpecError& e) {
      context.diagnostics.report(e.diagnostic);
      x = Value::make_unknown();
    }
    if (context.kind == GraphKind::fit && context.fits.size() > source_.fitted) {
      context.builder.output("x", as_float(before.tensor));
      return x;
    }
  }
  return x;
}

void StepBuilder::add_output(const std::string& name, const Value& value) {
  if (!value.is(Kind::tensor)) return;
  auto same = std::find_if(context.outputs.begin(), context.outputs.end(), [&](const OutputValue& o) { return o.name == name; });
  if (same != context.outputs.end()) same->value = value.tensor;
  else context.outputs.push_back({name, value.tensor});
}

// The network of `model:` on the data's inputs; its outputs and named values become names.
void StepBuilder::call_model(Env& data, Env& names, Loc loc) {
  const Network* network = networks_.find("model");
  if (!network || !network->prefix.empty())
    throw SpecError(loc, source_.updates.empty() || source_.updates[0].name.empty()
                             ? "'models' are called by 'train.updates', and the spec has none"
                             : "with 'models' every update names its 'forward': formulas that call them");
  std::vector<const ColumnSchema*> columns;
  for (const ColumnSchema& column : source_.schema.columns)
    if (!column.target) columns.push_back(&column);
  std::vector<Given> given;
  for (const Network::Input& input : network->inputs) {
    // The only input goes by any name.
    bool only = network->inputs.size() == 1 && (columns.size() == 1 || !network->declares_inputs);
    std::string name = only ? "x" : input.name;
    Value value = columns.empty() ? Value::make_unknown() : *evaluator.lookup("x", data, loc);
    if (!only && !columns.empty()) {
      std::vector<std::string> known;
      for (const ColumnSchema* column : columns) known.push_back(column->name);
      if (std::find(known.begin(), known.end(), name) == known.end())
        throw SpecError(input.loc, "'" + name + "' is no input of the data; they have " + join(known, ", "));
      value = *evaluator.lookup(name, data, loc);
    }
    given.push_back({"", std::move(value), input.loc});
  }
  // Targets are hidden from the layers.
  Env around(&vars_);
  for (const ColumnSchema* column : columns) around.set(column->name, *evaluator.lookup(column->name, data, loc));
  around.set("x", *evaluator.lookup("x", data, loc));
  Value value = networks_.call(*network, given, loc, &around, &names);
  if (value.is(Kind::unknown)) {
    names.set("output", value);
    return;
  }
  if (value.names) {
    for (size_t i = 0; i < value.names->size(); ++i) add_output((*value.names)[i], (*value.list)[i]);
    return;
  }
  if (!value.is(Kind::tensor)) throw SpecError(loc, "the model gives no tensor");
  names.set("output", value);
  add_output("output", value);
}

// Where the use of the network of `model:` is reported; of `models` without updates: at what stands in their place.
Loc StepBuilder::single_loc(const UpdateSetting& update) const {
  if (!update.name.empty()) return update.loc;
  const Node* loss = update.node ? update.node->find_key("loss") : nullptr;
  const Node* models = source_.spec.find_key("models");
  return !models ? source_.networks.front().loc : loss ? loss->loc : models->loc;
}

void StepBuilder::forward(const UpdateSetting& update, Env& data, Env& names) {
  context.update = update.name;
  if (!update.forward) {
    try {
      call_model(data, names, single_loc(update));
    } catch (const SpecError& e) {
      context.diagnostics.report(e.diagnostic);
      names.set("output", Value::make_unknown());
    }
    return;
  }
  for (const auto& [key, formula] : update.forward->entries) {
    ScopeId former = context.builder.enter(update.prefix() + key.text, key.loc);
    try {
      check_given_name(key, "a name of 'forward'");
      if (networks_.find(key.text)) throw SpecError(key.loc, "the name '" + key.text + "' is taken by a network");
      context.builder.at(formula.loc);
      Value value = read_argument(formula, nullptr, names, evaluator);
      add_output(key.text, value);
      names.set(key.text, std::move(value));
    } catch (const SpecError& e) {
      context.diagnostics.report(e.diagnostic);
      names.set(key.text, Value::make_unknown());
    }
    context.builder.leave(former);
  }
}

ValueId StepBuilder::loss_of(const UpdateSetting& update, Env& names) {
  const Node* loss = update.node->find("loss");
  if (!loss || loss->is(Node::Kind::null)) {
    if (Env::Entry* output = names.find("output"); output && output->value.is(Kind::unknown)) return kNoValue;   // said already
    bool both = update.name.empty() && !update.node->find("optimizer");
    throw SpecError(update.loc, both ? "'train' needs a 'loss' and an 'optimizer'" : "'train' needs a 'loss'");
  }
  ScopeId former = context.builder.enter(update.prefix() + "loss", loss->loc);
  ValueId value = build_loss(*loss, evaluator, names);
  context.builder.leave(former);
  return value;
}

// The loss, kNoValue where it is at fault or hangs on a fault.
ValueId StepBuilder::checked_loss(const UpdateSetting& update, Env& names) {
  ValueId loss = kNoValue;
  try {
    loss = loss_of(update, names);
  } catch (const SpecError& e) {
    context.diagnostics.report(e.diagnostic);
  }
  return context.diagnostics.errors() ? kNoValue : loss;
}

// Updates run in file order, each on the values that the earlier ones have left.
void StepBuilder::train_step(Env& data) {
  Builder& b = context.builder;
  ValueId total = kNoValue;
  for (size_t i = 0; i < source_.updates.size(); ++i) {
    const UpdateSetting& update = source_.updates[i];
    if (!(form_.active >> i & 1)) continue;
    Env names(&data);
    forward(update, data, names);
    b.leave(0);
    ValueId loss = checked_loss(update, names);
    if (loss == kNoValue) continue;
    if (!update.name.empty()) b.output(update.prefix() + "loss", loss);
    total = total == kNoValue ? loss : b.binary(OpCode::add, total, loss);
    build_update(source_.updates, i, optimizer_rate(source_.updates.front(), evaluator), loss, form_.gather, evaluator);
  }
  if (total != kNoValue) b.output("loss", total);
  if (!source_.updates.empty()) average_parameters(source_.updates.front(), evaluator);
  context.store_changes();
}

// The losses of all updates as the step begins.
void StepBuilder::differentiate_losses(Env& data) {
  std::vector<std::pair<const UpdateSetting*, ValueId>> losses;
  for (const UpdateSetting& update : source_.updates) {
    Env names(&data);
    forward(update, data, names);
    context.builder.leave(0);
    if (!context.diagnostics.errors()) losses.emplace_back(&update, loss_of(update, names));
  }
  if (context.diagnostics.errors()) return;
  // Definitions first: where one of them is off, a loss is off because of it.
  definition_gradients(evaluator, derivatives);
  for (const auto& [update, loss] : losses) loss_gradients(*update, loss, evaluator, derivatives);
}

void StepBuilder::evaluation(Env& data) {
  Builder& b = context.builder;
  ValueId total = kNoValue;
  bool losses = context.kind == GraphKind::eval && !source_.updates.empty();
  const std::vector<UpdateSetting> untrained(1);
  for (const UpdateSetting& update : source_.updates.empty() ? untrained : source_.updates) {
    Env names(&data);
    forward(update, data, names);
    b.leave(0);
    if (context.diagnostics.errors() || !losses || (update.name.empty() && !update.node->find("loss"))) continue;
    ValueId loss = loss_of(update, names);
    if (!update.name.empty()) b.output(update.prefix() + "loss", loss);
    total = total == kNoValue ? loss : b.binary(OpCode::add, total, loss);
  }
  if (context.diagnostics.errors()) return;
  if (total != kNoValue) b.output("loss", total);
  put_outputs();
}

// Outputs with a meaning bring it along: `probability` or `value`, behind the output's name where that is not `output`.
void StepBuilder::put_outputs() {
  Builder& b = context.builder;
  for (const OutputValue& output : context.outputs) {
    if (!context.graph.op(output.value).per_sample) continue;
    ModelOutput out{.name = output.name, .shape = b.sample_shape(output.value)};
    b.output(out.name, as_float(output.value));
    if (auto use = source_.loss_uses.find(output.name); use != source_.loss_uses.end()) {
      ScopeId former = b.enter("predict", {});
      Predicted predicted = build_prediction(use->second, evaluator, output.value);
      b.leave(former);
      out.prediction = predicted.prediction;
      out.target = use->second.target;
      if (predicted.value != kNoValue)
        b.output(out.prefix() + (out.prediction.kind == Prediction::Kind::probability ? "probability" : "value"),
                 as_float(predicted.value));
    }
    outputs.push_back(std::move(out));
  }
  // A loss by formula says nothing of the output: the only one is measured as it is against the only target.
  if (outputs.size() != 1 || source_.loss_uses.count(outputs[0].name) || source_.updates.empty() || !source_.updates[0].name.empty())
    return;
  std::vector<std::string> targets;
  for (const ColumnSchema& column : source_.schema.columns)
    if (column.target) targets.push_back(column.name);
  if (targets.size() == 1) outputs[0].target = targets[0];
}

}  // namespace mlc
