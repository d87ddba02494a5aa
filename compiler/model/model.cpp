#include "compiler/model/model.h"

#include "compiler/base/text.h"
#include "compiler/model/arguments.h"
#include "compiler/model/items.h"
#include "compiler/model/losses.h"
#include "compiler/model/optimizer.h"
#include "compiler/model/rules.h"
#include "compiler/model/schedules.h"

#include <algorithm>

namespace mlc {
namespace {

using Kind = Value::Kind;

// What the data module does when it loads: these stand in front of the transforms that the program runs.
bool runs_at_load(const Item& item) {
  return item.op == "resize" || (item.op == "one_hot" && item.value && item.value->is(Node::Kind::map) && item.value->find("columns"));
}

// A text in `vars` is a formula when it holds an operator, a call or a bracket, or names another variable.
Value variable(const Node& node, const Node& vars, Env& env, Evaluator& evaluator) {
  switch (node.kind) {
  case Node::Kind::null: return {};
  case Node::Kind::boolean: return Value::of_flag(node.boolean());
  case Node::Kind::integer: return Value::of_integer(node.integer());
  case Node::Kind::real: return Value::of_real(node.number());
  case Node::Kind::text:
    if (!looks_like_formula(node.text) && !vars.find(node.text)) return Value::of_text(node.text);
    return evaluator.eval(parse_formula(node), env);
  case Node::Kind::list: {
    std::vector<Value> items;
    for (const Node& item : node.items) items.push_back(variable(item, vars, env, evaluator));
    return Value::of_list(std::move(items));
  }
  case Node::Kind::map: break;
  }
  throw SpecError(node.loc, "a variable is a number, a text, a flag, a list or a formula");
}

class ElaboratedModel : public Model {
public:
  ElaboratedModel(const Node& spec, const Schema& schema, Sources& sources, Diagnostics& diagnostics)
      : spec_(spec), schema_(schema), library_(sources), quiet_(sources), rules_(spec_, diagnostics) {
    library_.add_user(spec_, diagnostics);
    if (const Node* train = spec_.find("train"); train && train->is(Node::Kind::map)) train_ = train;
  }

  // Builds both programs once, for their faults and for what they tell.
  void elaborate(Diagnostics& diagnostics) {
    int64_t batch = 2;
    if (const Node* size = train_ ? train_->find("batch_size") : nullptr; size && size->is(Node::Kind::integer)) batch = std::max<int64_t>(1, size->integer());
    Session session(*this, train_ ? GraphKind::train : GraphKind::predict, batch, diagnostics);
    session.run();
    if (diagnostics.errors()) return;
    Context& c = session.context;
    state_ = c.state;
    layers_ = c.rows;
    parameters_ = c.parameters;
    fits_ = c.fits;
    loss_use_ = c.loss_use;
    if (c.output != kNoValue) output_shape_ = c.builder.sample_shape(c.output);
    if (train_) base_lr_ = optimizer_rate(*train_, session.evaluator);
    std::vector<std::string> paths;
    for (const StateTensor& t : state_) paths.push_back(t.tensor.path);
    rules_.check_used(paths, diagnostics);
    // What the loss makes of the output is the same in every program.
    Session eval(*this, GraphKind::predict, batch, diagnostics);
    eval.run();
    prediction_ = eval.prediction;
    check_expectations(diagnostics);
    // The data say how long the run is: here it is long enough for any schedule.
    if (train_ && !diagnostics.errors()) schedule(int64_t{1} << 20, int64_t{1} << 40);
  }

  const std::vector<StateTensor>& state() const override { return state_; }
  int64_t parameter_count() const override { return parameters_; }
  const std::vector<LayerRow>& layers() const override { return layers_; }
  Shape output_shape() const override { return output_shape_; }
  Prediction prediction() const override { return prediction_; }
  double base_lr() const override { return base_lr_; }

  std::vector<LoadRule> loads() const override {
    std::vector<LoadRule> out;
    const Node* rules = spec_.find("init");
    if (!rules || !rules->is(Node::Kind::list)) return out;
    for (const Node& rule : rules->items) {
      const Node* load = rule.find("load");
      if (!load) continue;
      LoadRule l{load->text, {}, {}, load->loc};
      if (const Node* match = rule.find("match")) {
        if (match->is(Node::Kind::list)) for (const Node& glob : match->items) l.match.push_back(glob.text);
        else l.match.push_back(match->text);
      }
      if (const Node* rename = rule.find("rename"))
        for (const auto& [from, to] : rename->entries) l.rename.emplace_back(from.text, to.text);
      out.push_back(std::move(l));
    }
    return out;
  }

  std::vector<SchedulePhase> schedule(int64_t steps_per_epoch, int64_t total_steps) const override {
    Session session(*this, GraphKind::train, 1, quiet_);
    session.bind_vars();
    return train_ ? build_schedule(*train_, steps_per_epoch, total_steps, base_lr_, session.evaluator) : std::vector<SchedulePhase>{};
  }

  Graph build(GraphKind kind, int64_t batch) const override {
    Session session(*this, kind, batch, quiet_);
    session.run();
    if (quiet_.errors()) throw SpecError(quiet_.sorted().front());
    static const char* kNames[] = {"train", "eval", "predict", "fit"};
    session.context.graph.name = std::string(kNames[static_cast<int>(kind)]) + " b" + std::to_string(batch);
    return std::move(session.context.graph);
  }

  const Fit* next_fit() const override { return fitted_ < fits_.size() ? &fits_[fitted_] : nullptr; }
  void fitted() override { ++fitted_; }

private:
  // One graph being built.
  struct Session {
    Session(const ElaboratedModel& model, GraphKind kind, int64_t batch, Diagnostics& diagnostics)
        : model(model), context(model.library_, model.schema_, model.rules_, diagnostics, kind, batch), evaluator(context), items(evaluator) {
      context.vars = &vars;
    }

    void run() {
      bind_vars();
      try {
        build();
      } catch (const SpecError& e) {
        context.diagnostics.report(e.diagnostic);
      }
    }

    void bind_vars() {
      const Node* node = model.spec_.find("vars");
      if (!node || !node->is(Node::Kind::map)) return;
      for (const auto& [key, value] : node->entries) {
        // Formulas wait for their first use, so that variables may stand in any order.
        if (value.is(Node::Kind::text) && (looks_like_formula(value.text) || node->find(value.text))) {
          try {
            vars.set_lazy(key.text, parse_formula(value), &vars);
          } catch (const SpecError& e) {
            context.diagnostics.report(e.diagnostic);
          }
        }
      }
      for (const auto& [key, value] : node->entries)
        if (!vars.has(key.text)) vars.set(key.text, variable(value, *node, vars, evaluator));
    }

  private:
    void build() {
      ItemScope scope("", &vars, 0);
      Value x = read_inputs(scope);
      if (x.is(Kind::tensor)) x = transform(x);
      if (context.kind == GraphKind::fit) return;
      scope.env.set("x", x);
      Value output = run_model(scope, x);
      if (output.is(Kind::unknown) || context.diagnostics.errors()) return;
      if (!output.is(Kind::tensor)) throw SpecError(model.spec_.loc, "the model gives no tensor");
      context.output = output.tensor;
      scope.env.set("output", output);
      context.builder.leave(0);
      finish(scope);
    }

    void finish(ItemScope& scope) {
      Builder& b = context.builder;
      const Node* loss = model.train_ ? model.train_->find("loss") : nullptr;
      if (context.train()) {
        if (!loss || loss->is(Node::Kind::null)) throw SpecError(model.train_->loc, "'train' needs a 'loss'");
        ScopeId former = b.enter("loss", loss->loc);
        ValueId value = build_loss(*loss, evaluator, scope.env);
        b.leave(former);
        b.output("loss", value);
        build_updates(*model.train_, value, evaluator);
        return;
      }
      b.output("output", as_float(context.output));
      if (context.kind == GraphKind::eval && loss && has_targets()) {
        ScopeId former = b.enter("loss", loss->loc);
        b.output("loss", build_loss(*loss, evaluator, scope.env));
        b.leave(former);
      }
      ScopeId former = b.enter("predict", {});
      Predicted predicted = build_prediction(model.loss_use_, evaluator, context.output);
      b.leave(former);
      prediction = predicted.prediction;
      if (predicted.value != kNoValue)
        b.output(prediction.kind == Prediction::Kind::probability ? "probability" : "value", as_float(predicted.value));
    }

    ValueId as_float(ValueId v) { return is_float(context.graph.type(v).dtype) ? v : context.builder.cast(v, DType::f32); }

    bool has_targets() const {
      return std::any_of(model.schema_.columns.begin(), model.schema_.columns.end(), [](const ColumnSchema& c) { return c.target; });
    }

    // Input tensors by their columns' names; the first input is what the transforms run on.
    Value read_inputs(ItemScope& scope) {
      Value first = Value::make_unknown();
      bool any = false;
      for (const ColumnSchema& column : model.schema_.columns) {
        bool target = column.target, with_targets = context.kind == GraphKind::train || context.kind == GraphKind::eval;
        if (target && !with_targets) continue;
        if (!target && any && context.kind == GraphKind::fit) continue;
        ValueId v = context.builder.input(context.builder.add_tensor({column.name, column.type, Role::input}));
        context.columns[v] = &column;
        scope.env.set(column.name, Value::of_tensor(v));
        if (target || any) continue;
        any = true;
        first = Value::of_tensor(v);
        context.range = column.range;
      }
      // Without a schema the data are at fault, which has been said: the model is checked as far as it goes.
      if (!any && !model.schema_.columns.empty()) throw SpecError(model.spec_.loc, "the data have no input column");
      return first;
    }

    Value transform(Value x) {
      const Node* data = model.spec_.find("data");
      const Node* list = data ? data->find("transforms") : nullptr;
      if (!list || !list->is(Node::Kind::list)) {
        if (context.kind == GraphKind::fit) context.builder.output("x", as_float(x.tensor));
        return x;
      }
      ItemScope scope("data.", &vars, 0);
      scope.env.set("x", x);
      bool in_program = false;
      for (const Node& node : list->items) {
        Value before = x;
        try {
          Item item = read_item(node);
          if (runs_at_load(item)) {
            if (in_program) throw SpecError(item.loc, "'" + item.op + "' runs when the data are loaded: it must stand before the transforms of the program");
            continue;
          }
          in_program = true;
          x = items.run_item(item, scope, x, true);
        } catch (const SpecError& e) {
          context.diagnostics.report(e.diagnostic);
          return Value::make_unknown();
        }
        if (context.kind == GraphKind::fit && context.fits.size() > model.fitted_) {
          context.builder.output("x", as_float(before.tensor));
          return x;
        }
      }
      ensure(context.kind != GraphKind::fit, "model: there is nothing left to fit");
      return x;
    }

    Value run_model(ItemScope& scope, const Value& x) {
      const Node* node = model.spec_.find("model");
      if (!node) throw SpecError(model.spec_.loc, "the spec has no 'model'");
      if (node->is(Node::Kind::list)) {
        if (node->items.empty()) throw SpecError(node->loc, "the model has no layers");
        return items.run(*node, scope, x);
      }
      const Node* layers = node->is(Node::Kind::map) ? node->find("layers") : nullptr;
      if (!layers) throw SpecError(node->loc, "'model' is a list of items, or a map with 'layers'");
      for (const auto& [key, value] : node->entries)
        if (key.text != "inputs" && key.text != "layers" && key.text != "outputs")
          throw SpecError(key.loc, "unknown key '" + key.text + "' of a model; keys are inputs, layers, outputs");
      check_inputs(node->find("inputs"), scope);
      Value out = items.run(*layers, scope, x);
      const Node* outputs = node->find("outputs");
      if (!outputs) return out;
      const Node* name = outputs->is(Node::Kind::list) && outputs->items.size() == 1 ? &outputs->items[0] : outputs;
      if (!name->is(Node::Kind::text)) throw SpecError(outputs->loc, "'outputs' names one value; several outputs are not supported by this version yet");
      return items.named(name->text, scope, name->loc);
    }

    // Declared input shapes must be those of the data.
    void check_inputs(const Node* inputs, ItemScope& scope) {
      if (!inputs) return;
      if (!inputs->is(Node::Kind::map)) throw SpecError(inputs->loc, "'inputs' is a map of names to shapes");
      for (const auto& [key, value] : inputs->entries) {
        Value v = items.named(key.text, scope, key.loc);
        Shape declared = integers_of(read_argument(value, nullptr, vars, evaluator), value.loc, "the shape of '" + key.text + "'");
        if (!v.is(Kind::tensor)) continue;
        Shape found = context.builder.sample_shape(v.tensor);
        if (declared == found) continue;
        SpecError error(value.loc, "input '" + key.text + "' does not have this shape");
        error.diagnostic.lines = {"expected  " + format_shape(declared), "found     " + format_shape(found)};
        throw error;
      }
    }

    const ElaboratedModel& model;
    Env vars;

  public:
    Context context;
    Evaluator evaluator;
    Prediction prediction;

  private:
    Items items;
  };

  void check_expectations(Diagnostics& diagnostics) {
    const Node* expect = spec_.find("expect");
    if (!expect || !expect->is(Node::Kind::map) || diagnostics.errors()) return;
    Session session(*this, GraphKind::predict, 1, diagnostics);
    session.bind_vars();
    auto read = [&](const Node& n) { return read_argument(n, nullptr, *session.context.vars, session.evaluator); };
    try {
      if (const Node* n = expect->find("parameters"))
        if (int64_t wanted = integer_of(read(*n), n->loc, "'parameters' of expect"); wanted != parameters_)
          diagnostics.error(n->loc, "expect.parameters is " + std::to_string(wanted) + " but the model has " + std::to_string(parameters_));
      if (const Node* n = expect->find("output"))
        if (Shape wanted = integers_of(read(*n), n->loc, "'output' of expect"); wanted != output_shape_)
          diagnostics.error(n->loc, "expect.output is " + format_shape(wanted) + " but the model's output is " + format_shape(output_shape_));
    } catch (const SpecError& e) {
      diagnostics.report(e.diagnostic);
    }
  }

  Node spec_;
  Schema schema_;
  mutable Library library_;
  mutable Diagnostics quiet_;          // graphs built after elaboration repeat its warnings: nobody reads them
  Rules rules_;
  const Node* train_ = nullptr;
  std::vector<StateTensor> state_;
  std::vector<LayerRow> layers_;
  int64_t parameters_ = 0;
  Shape output_shape_;
  Prediction prediction_;
  LossUse loss_use_;
  double base_lr_ = 0;
  std::vector<Fit> fits_;
  size_t fitted_ = 0;
};

}  // namespace

std::unique_ptr<Model> elaborate(const Node& spec, const Schema& schema, Sources& sources, Diagnostics& diagnostics) {
  size_t before = diagnostics.errors();
  auto model = std::make_unique<ElaboratedModel>(spec, schema, sources, diagnostics);
  if (diagnostics.errors() != before) return nullptr;
  try {
    model->elaborate(diagnostics);
  } catch (const SpecError& e) {
    diagnostics.report(e.diagnostic);
  }
  return diagnostics.errors() == before ? std::move(model) : nullptr;
}

}  // namespace mlc
