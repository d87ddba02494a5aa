#include "compiler/model/model.h"

#include "compiler/base/text.h"
#include "compiler/model/arguments.h"
#include "compiler/model/definition_names.h"
#include "compiler/model/index_bounds.h"
#include "compiler/model/losses.h"
#include "compiler/model/optimizer.h"
#include "compiler/model/primitives.h"
#include "compiler/model/rules.h"
#include "compiler/model/schedules.h"
#include "compiler/model/step.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

namespace mlc {
namespace {

class ElaboratedModel : public Model {
public:
  ElaboratedModel(const Node& spec, const Schema& schema, Sources& sources, Diagnostics& diagnostics)
      : spec_(spec), schema_(schema), library_(sources), quiet_(sources), rules_(spec_, diagnostics), faults_(diagnostics.errors()),
        networks_(read_networks(spec_, diagnostics)), networks_faulty_(networks_.empty() || diagnostics.errors() != faults_),
        updates_(read_updates(spec_, diagnostics)) {
    library_.add_user(spec_, diagnostics);
    NamesAround around;
    for (const Network& network : networks_) around.functions.push_back(network.name);
    if (const Node* vars = spec_.find("vars"))
      for (const auto& [name, value] : vars->entries) around.values.push_back(name.text);
    library_.check_user_names(around, diagnostics);
    for (const UpdateSetting& update : updates_)
      if (!update.name.empty()) update_infos_.push_back({update.name, update.every});
    for (const Network& network : networks_) check_name(network, diagnostics);
    if (const Node* train = spec_.find("train"); train && train->is(Node::Kind::map)) train_ = train;
    check_rules(diagnostics);
  }

  // Builds both programs once, for their faults and for what they tell.
  void elaborate(Diagnostics& diagnostics) {
    int64_t batch = 2;
    if (const Node* size = train_ ? train_->find("batch_size") : nullptr; size && size->is(Node::Kind::integer))
      batch = std::max<int64_t>(1, size->integer());
    StepBuilder step(source(), train_ ? GraphKind::train : GraphKind::predict, batch, {}, diagnostics);
    try {
      networks_faulty_ ? step.bind_vars() : step.run();
    } catch (const SpecError& e) {
      diagnostics.report(e.diagnostic);
    }
    if (diagnostics.errors()) return check_training(step.evaluator, diagnostics);
    Context& c = step.context;
    state_ = c.state;
    owners_ = c.owners;
    slot_owners_ = c.slot_owners;
    averaged_ = c.averaged;
    layers_ = c.rows;
    parameters_ = c.parameters;
    fits_ = c.fits;
    loss_uses_ = c.loss_uses;
    if (train_) base_lr_ = optimizer_rate(updates_.front(), step.evaluator);
    rules_.check_used(owners_, diagnostics);
    // What the losses make of the outputs is the same in every program.
    StepBuilder eval(source(), GraphKind::predict, batch, {}, diagnostics);
    eval.run();
    outputs_ = eval.outputs;
    find_index_bounds(c.graph, index_bounds_);
    find_index_bounds(eval.context.graph, index_bounds_);
    if (train_) elaborated_ = std::move(c.graph);
    check_expectations(diagnostics);
    if (train_ && !diagnostics.errors()) check_schedules(diagnostics);
  }

  const std::vector<StateTensor>& state() const override { return state_; }
  int64_t parameter_count() const override { return parameters_; }
  const std::vector<LayerRow>& layers() const override { return layers_; }
  const std::vector<ModelOutput>& outputs() const override { return outputs_; }
  double base_lr() const override { return base_lr_; }
  const std::vector<IndexBound>& index_bounds() const override { return index_bounds_; }

  std::vector<LoadRule> loads() const override {
    std::vector<LoadRule> out;
    const Node* rules = spec_.find("init");
    if (!rules || !rules->is(Node::Kind::list)) return out;
    for (const Node& rule : rules->items) {
      const Node* load = rule.find("load");
      if (!load) continue;
      LoadRule l{load->text, {}, {}, load->loc};
      for (const StateTensor& t : state_) {
        if (t.tensor.role == Role::slot) continue;
        const Rule* first = rules_.init_rule(t.tensor.path, owners_.at(t.tensor.path));
        if (first && first->node == &rule) l.paths.push_back(t.tensor.path);
      }
      if (const Node* rename = rule.find("rename"))
        for (const auto& [from, to] : rename->entries) l.rename.emplace_back(from.text, to.text);
      out.push_back(std::move(l));
    }
    return out;
  }

  void set_length(int64_t steps_per_epoch, int64_t total_steps) override {
    rules_.set_length(steps_per_epoch, total_steps);
    for (StateTensor& t : state_)
      if (auto it = slot_owners_.find(t.tensor.path); it != slot_owners_.end())
        t.thaw = rules_.thaw_step(it->second, owners_.at(it->second));
  }

  std::vector<int64_t> thaws() const override {
    std::set<int64_t> out;
    for (const StateTensor& t : state_)
      if (t.tensor.role != Role::slot) out.insert(rules_.thaw_step(t.tensor.path, owners_.at(t.tensor.path)));
    out.erase(0);
    out.erase(Rules::kNever);
    return {out.begin(), out.end()};
  }

  std::vector<SchedulePhase> schedule(int64_t steps_per_epoch, int64_t total_steps) const override {
    StepBuilder step(source(), GraphKind::train, 1, {}, quiet_);
    step.bind_vars();
    return train_ ? build_schedule(*train_, steps_per_epoch, total_steps, base_lr_, step.evaluator) : std::vector<SchedulePhase>{};
  }

  std::vector<OwnSchedule> own_schedules(int64_t steps_per_epoch, int64_t total_steps) const override {
    StepBuilder step(source(), GraphKind::train, 1, {}, quiet_);
    step.bind_vars();
    return own_schedules(steps_per_epoch, total_steps, step.evaluator);
  }

  void check_steps(const RunLength& run, Diagnostics& diagnostics) const override {
    if (!train_) return;
    size_t errors = diagnostics.errors();
    if (run.tail > 0) StepBuilder(source(), GraphKind::train, run.tail, {}, diagnostics).run();
    if (diagnostics.errors() != errors) return;
    // A length that is a fault is not a doubt too: warnings count when the schedule could be built.
    Diagnostics warnings(diagnostics.sources());
    StepBuilder step(source(), GraphKind::train, 1, {}, warnings);
    step.bind_vars();
    build_schedule(*train_, run.steps_per_epoch, run.total_steps, base_lr_, step.evaluator);
    own_schedules(run.steps_per_epoch, run.total_steps, step.evaluator);
    rules_.check_length(run.steps_per_epoch, run.total_steps, warnings);
    for (Diagnostic& d : warnings.sorted()) diagnostics.report(std::move(d));
  }

  const std::vector<UpdateInfo>& updates() const override { return update_infos_; }

  Graph build(GraphKind kind, int64_t batch, const StepForm& form) const override {
    std::vector<int64_t> thawed = thaws();
    Graph graph;
    if (elaborated_ && thawed.empty() && kind == GraphKind::train && batch == elaborated_->batch && form.active == StepForm{}.active &&
        !form.gather) {
      graph = std::move(*elaborated_);
      elaborated_.reset();
    } else {
      StepBuilder step(source(), kind, batch, form, quiet_);
      if (form.phase < static_cast<int>(thawed.size()))
        step.context.position = form.phase == 0 ? 0 : thawed[static_cast<size_t>(form.phase) - 1];
      step.run();
      if (quiet_.errors()) throw SpecError(quiet_.sorted().front());
      graph = std::move(step.context.graph);
    }
    static const char* kNames[] = {"train", "eval", "predict", "gradient", "fit"};
    graph.name = std::string(kNames[static_cast<int>(kind)]) + " b" + std::to_string(batch);
    return graph;
  }

  GradientGraph gradients(int64_t batch) const override {
    StepBuilder step(source(), GraphKind::gradient, batch, {}, quiet_);
    step.run();
    if (quiet_.errors()) throw SpecError(quiet_.sorted().front());
    step.derivatives.graph = std::move(step.context.graph);
    return std::move(step.derivatives);
  }

  const Fit* next_fit() const override { return fitted_ < fits_.size() ? &fits_[fitted_] : nullptr; }
  void fitted() override { ++fitted_; }

private:
  // What `train` says by itself, where the faults of the model leave no more to look at.
  void check_training(Evaluator& evaluator, Diagnostics& diagnostics) {
    if (!train_ || updates_.empty()) return;
    for (const UpdateSetting& update : updates_) {
      guarded(diagnostics, [&] {
        if (const Node* loss = update.node->find("loss")) check_loss_name(*loss, library_);
      });
      guarded(diagnostics, [&] { optimizer_rate(update, evaluator); });
    }
    check_schedules(diagnostics);
  }

  static void guarded(Diagnostics& diagnostics, const std::function<void()>& check) {
    try {
      check();
    } catch (const SpecError& e) {
      diagnostics.report(e.diagnostic);
    }
  }

  void check_expectations(Diagnostics& diagnostics) {
    const Node* expect = spec_.find("expect");
    if (!expect || !expect->is(Node::Kind::map) || diagnostics.errors()) return;
    StepBuilder step(source(), GraphKind::predict, 1, {}, diagnostics);
    step.bind_vars();
    auto read = [&](const Node& n) { return read_argument(n, nullptr, *step.context.vars, step.evaluator); };
    try {
      if (const Node* n = expect->find("parameters"))
        if (int64_t wanted = integer_of(read(*n), n->loc, "'parameters' of expect"); wanted != parameters_)
          diagnostics.error(n->loc, "expect.parameters is " + std::to_string(wanted) + " but the model has " + std::to_string(parameters_));
      if (const Node* n = expect->find("output")) check_output(integers_of(read(*n), n->loc, "'output' of expect"), *n, diagnostics);
    } catch (const SpecError& e) {
      diagnostics.report(e.diagnostic);
    }
  }

  OwnSchedule own_schedule(size_t update, int64_t steps_per_epoch, int64_t total_steps, Evaluator& evaluator) const {
    const UpdateSetting& u = updates_[update];
    double rate = optimizer_rate(u, evaluator);
    return {.update = static_cast<int>(update),
            .base_lr = rate,
            .phases = build_schedule(*u.node, steps_per_epoch, total_steps, rate, evaluator)};
  }

  std::vector<OwnSchedule> own_schedules(int64_t steps_per_epoch, int64_t total_steps, Evaluator& evaluator) const {
    std::vector<OwnSchedule> out;
    for (size_t i = 0; i < updates_.size(); ++i)
      if (updates_[i].schedule) out.push_back(own_schedule(i, steps_per_epoch, total_steps, evaluator));
    return out;
  }

  // The data say how long the run is: here it is long enough for any schedule.
  void check_schedules(Diagnostics& diagnostics) const {
    constexpr int64_t kEpoch = int64_t{1} << 20, kTotal = int64_t{1} << 40;
    StepBuilder step(source(), GraphKind::train, 1, {}, quiet_);
    step.bind_vars();
    // A rate that is at fault has been told of.
    guarded(diagnostics, [&] { build_schedule(*train_, kEpoch, kTotal, base_lr_ > 0 ? base_lr_ : 1, step.evaluator); });
    for (size_t i = 0; i < updates_.size(); ++i)
      if (updates_[i].schedule) guarded(diagnostics, [&] { own_schedule(i, kEpoch, kTotal, step.evaluator); });
  }

  void check_output(const Shape& wanted, const Node& node, Diagnostics& diagnostics) {
    if (outputs_.size() != 1)
      diagnostics.error(node.loc, "expect.output is about the only output; the model has " + std::to_string(outputs_.size()));
    else if (wanted != outputs_[0].shape)
      diagnostics.error(node.loc,
                        "expect.output is " + format_shape(wanted) + " but the model's output is " + format_shape(outputs_[0].shape));
  }

  // A rule of train.params may set any argument of an optimizer. One that is not known is reported where it stands.
  void check_rules(Diagnostics& diagnostics) {
    std::vector<std::string> arguments;
    for (const UpdateSetting& update : updates_) {
      const Node* optimizer = update.node->find("optimizer");
      const Node* name = optimizer && optimizer->is(Node::Kind::map) ? optimizer->find("type") : optimizer;
      const Definition* d =
          name && name->is(Node::Kind::text) ? library_.find(DefinitionKind::optimizer, name->text, name->loc.file) : nullptr;
      if (!d) return;
      for (const Signature::Parameter& p : d->signature.parameters)
        if (!std::count(arguments.begin(), arguments.end(), p.name)) arguments.push_back(p.name);
    }
    if (!updates_.empty()) rules_.check_arguments(arguments, diagnostics);
  }

  // In formulas a network stands beside the functions.
  void check_name(const Network& network, Diagnostics& diagnostics) {
    if (network.prefix.empty()) return;
    if (library_.find(DefinitionKind::function, network.name, network.loc.file) || find_primitive(network.name))
      diagnostics.error(network.loc, "the name '" + network.name + "' is taken by a function");
  }

  ModelSource source() const { return {spec_, schema_, library_, rules_, networks_, updates_, loss_uses_, averaged_, fitted_}; }

  Node spec_;
  Schema schema_;
  // The step that elaboration built: nearly always the first that is asked for, and given away then. What thaws makes another.
  mutable std::optional<Graph> elaborated_;
  mutable Library library_;
  mutable Diagnostics quiet_;          // graphs built after elaboration repeat its warnings: nobody reads them
  Rules rules_;
  size_t faults_;                      // found before the networks were read
  std::vector<Network> networks_;
  bool networks_faulty_;
  std::vector<UpdateSetting> updates_;
  std::vector<UpdateInfo> update_infos_;
  const Node* train_ = nullptr;
  std::vector<StateTensor> state_;
  std::map<std::string, std::string> owners_, slot_owners_;
  std::map<std::string, int64_t> averaged_;
  std::vector<LayerRow> layers_;
  int64_t parameters_ = 0;
  std::vector<ModelOutput> outputs_;
  std::vector<IndexBound> index_bounds_;
  std::map<std::string, LossUse> loss_uses_;
  double base_lr_ = 0;
  std::vector<Fit> fits_;
  size_t fitted_ = 0;
};

}  // namespace

std::unique_ptr<Model> elaborate(const Node& spec, const Schema& schema, Sources& sources, Diagnostics& diagnostics) {
  size_t before = diagnostics.errors();
  auto model = std::make_unique<ElaboratedModel>(spec, schema, sources, diagnostics);
  try {
    model->elaborate(diagnostics);
  } catch (const SpecError& e) {
    diagnostics.report(e.diagnostic);
  }
  return diagnostics.errors() == before ? std::move(model) : nullptr;
}

}  // namespace mlc
