#include "compiler/model/optimizer.h"

#include "compiler/base/text.h"
#include "compiler/model/arguments.h"
#include "compiler/model/initializers.h"
#include "compiler/model/rules.h"

#include <algorithm>

namespace mlc {
namespace {

using Kind = Value::Kind;

// All of a value, to tell settings apart.
std::string whole_text(const Value& value) {
  if (value.is(Kind::text)) return value.text;
  if (!value.is(Kind::list)) return show_value(value);
  std::vector<std::string> parts;
  for (const Value& item : *value.list) parts.push_back(whole_text(item));
  return "[" + join(parts, ", ") + "]";
}

// The parameters that an update trains, beside what the rules say.
class Optimizer {
public:
  /// `index`: the update's place among all.
  Optimizer(const UpdateSetting& update, size_t index, Evaluator& evaluator)
      : update_(update), evaluator_(evaluator), context_(evaluator.context()),
        rate_variable_(update.schedule ? kHostRates + static_cast<int>(index) : kHostLr), setting_(read(update)),
        definition_(find_typed(context_.library, DefinitionKind::optimizer, setting_)) {
    if (definition_.faulty) return;
    given_ = typed_arguments(definition_, setting_, {}, *context_.vars, evaluator);
    if (definition_.signature.parameters.empty() || definition_.signature.parameters[0].name != "lr")
      throw SpecError(setting_.loc, "the first argument of optimizer '" + definition_.name() + "' must be lr");
    rate_ = evaluator_.inside(definition_, setting_.loc, [&] { return check(given_, setting_.loc); });
  }

  double rate() const { return rate_; }

  /// `base_rate` is what the schedule of the run is about: the rate of its first update. A schedule of this update's own is
  /// about its rate. Slots of the parameter are called `optimizer.<slot_prefix><slot>.<path>`.
  void update(const Trainable& parameter, ValueId gradient, double base_rate, const std::string& slot_prefix) {
    ScopeId former = context_.builder.enter("optimizer." + slot_prefix + parameter.path, setting_.loc);
    slot_prefix_ = slot_prefix;
    Settings settings = settings_of(parameter, update_.schedule ? rate_ : base_rate);
    evaluator_.inside(definition_, setting_.loc, [&] { step(parameter, gradient, settings); });
    context_.builder.leave(former);
  }

  /// Adds the gradient of this batch, times its rows, to what is there. Steps that gather keep the sum; the others give
  /// the mean over all rows and begin anew.
  ValueId accumulated(const Trainable& parameter, ValueId gradient, bool gather) {
    Builder& b = context_.builder;
    std::string path = "optimizer." + update_.prefix() + "accumulated." + parameter.path;
    add_slot(path, parameter, b.sample_shape(context_.value_of(parameter.tensor)), {});
    TensorId tensor = context_.builder.find_tensor(path);
    ValueId own = b.binary(OpCode::mul, gradient, b.constant(static_cast<double>(context_.graph.batch)));
    ValueId sum = b.binary(OpCode::add, context_.value_of(tensor), own);
    if (gather) return context_.change(tensor, sum), sum;
    context_.change(tensor, b.broadcast_to(b.constant(0), b.sample_shape(sum), false));
    Value share = host_apply(HostFormula::Op::div, {Value::of_integer(1), Value::of_variable(kHostRows)});
    return b.binary(OpCode::mul, sum, evaluator_.tensor(share, update_.accumulate->loc));
  }

private:
  static TypedSetting read(const UpdateSetting& update) {
    const Node* node = update.node->find("optimizer");
    if (!node || node->is(Node::Kind::null)) throw SpecError(node ? node->loc : update.loc, "'train' needs an 'optimizer'");
    return read_typed("optimizer", *node);
  }

  // A rate follows the schedule in proportion, as the groups of torch.optim do.
  Value scheduled(double rate, double base_rate) const {
    Value variable = Value::of_variable(rate_variable_);
    if (rate == base_rate) return variable;
    if (base_rate == 0) return Value::of_real(rate);
    return host_apply(HostFormula::Op::mul, {variable, Value::of_real(rate / base_rate)});
  }

  // The optimizer's arguments for one parameter.
  struct Settings {
    Value lr;                     // a variable of the step, or what a rule makes of it
    std::vector<Given> given;     // all others, as written or by a rule
    std::string text;             // of what differs between parameters
  };

  Settings settings_of(const Trainable& parameter, double base_rate) {
    Settings out{scheduled(rate_, base_rate), given_, ""};
    const Rule* rule = context_.rules.train_rule(parameter.path, parameter.op);
    if (!rule) return out;
    Env names(context_.vars);
    names.set("lr", out.lr);
    if (const Node* lr = rule->setting("lr")) {
      Value value = read_argument(*lr, nullptr, names, evaluator_);
      if (value.is_number()) value = scheduled(value.number(), base_rate);
      if (!value.is_scalar()) throw SpecError(lr->loc, "'lr' must be a number; it is " + show_value(value));
      out.lr = value;
    }
    for (const auto& [key, node] : rule->node->entries) {
      if (key.text == "lr" || Rules::is_own_key(key.text)) continue;
      const auto& known = definition_.signature.parameters;
      if (std::none_of(known.begin(), known.end(), [&, &name = key.text](const auto& p) { return p.name == name; }))
        throw SpecError(key.loc, definition_.name() + " has no " + key.text);
      auto argument = definition_.arguments.find(key.text);
      Value value = read_argument(node, argument == definition_.arguments.end() ? nullptr : &argument->second, names, evaluator_);
      out.text += key.text + "=" + whole_text(value) + ";";
      std::erase_if(out.given, [&, &name = key.text](const Given& g) { return g.name == name; });
      out.given.push_back({key.text, std::move(value), node.loc});
    }
    if (!out.text.empty()) evaluator_.inside(definition_, rule->node->loc, [&] { check(out.given, rule->node->loc); });
    return out;
  }

  // Binds arguments with the rate as written, and checks what the definition requires of them.
  double check(const std::vector<Given>& given, Loc loc) {
    Env names(definition_.is_std ? nullptr : context_.vars);
    evaluator_.bind(definition_, given, names, loc);
    evaluator_.require(definition_, names, loc);
    return number_of(*evaluator_.lookup("lr", names, loc), loc, "'lr' of " + definition_.name());
  }

  // A slot's value as the step begins; its stand-in where its condition does not hold.
  Value slot(const TensorRule& rule, const Trainable& parameter, Env& names) {
    Loc loc = setting_.loc;
    if (rule.condition && !truth_of(evaluator_.eval(rule.condition, names), loc, "'if' of slot '" + rule.name + "'"))
      return rule.stand_in ? evaluator_.eval(rule.stand_in, names) : Value::of_integer(0);
    Shape shape = context_.builder.sample_shape(context_.value_of(parameter.tensor));
    if (!rule.shape.is(Node::Kind::null)) {
      shape = integers_of(read_argument(rule.shape, nullptr, names, evaluator_), loc, "the shape of slot '" + rule.name + "'");
      if (shape.empty()) return host_slot(rule, parameter, names);
    }
    Initializer init;
    if (!rule.init.is(Node::Kind::null)) init = read_initializer(rule.init, shape, evaluator_, names);
    std::string path = "optimizer." + slot_prefix_ + rule.name + "." + parameter.path;
    ValueId value = add_slot(path, parameter, shape, init);
    tensors_[rule.name] = context_.builder.find_tensor(path);
    return Value::of_tensor(value);
  }

  // Parameters of the same settings share one number: their formulas stay equal, so that one loop updates them all.
  Value host_slot(const TensorRule& rule, const Trainable& parameter, Env& names) {
    auto& [index, shared] = host_[rule.name];
    // A name that is the same in all phases.
    bool first = shared.empty() && thaw_ == 0;
    auto [it, fresh] = shared.try_emplace(settings_text_, static_cast<int>(context_.graph.host_state.size()));
    index = it->second;
    if (fresh) {
      Initializer init;
      if (!rule.init.is(Node::Kind::null)) init = read_initializer(rule.init, {}, evaluator_, names);
      HostFormula keep = *Value::of_variable(kHostState + index).host;
      context_.graph.host_state.push_back(
          {.path = "optimizer." + update_.prefix() + rule.name + (first ? "" : "." + parameter.path), .init = init.a, .update = keep});
    }
    return Value::of_variable(kHostState + index);
  }

  void store(TensorId tensor, const Value& value, const std::string& name) {
    ValueId id = evaluator_.tensor(value, setting_.loc);
    const Shape& shape = context_.graph.tensors[static_cast<size_t>(tensor)].type.shape;
    if (context_.builder.sample_shape(id) != shape) id = context_.builder.broadcast_to(id, shape, false);
    if (context_.graph.op(id).per_sample) throw SpecError(setting_.loc, definition_.name() + ": '" + name + "' depends on the sample");
    context_.change(tensor, id);
  }

  // Steps of this update on a parameter, from 1: it runs at steps every, 2 * every, ... of the run, and begins anew when
  // the parameter thaws.
  Value own_step(int64_t thaw) const {
    Value t = Value::of_variable(kHostT);
    if (update_.every != 1) t = host_apply(HostFormula::Op::div, {t, Value::of_integer(update_.every)});
    return thaw == 0 ? t : host_apply(HostFormula::Op::sub, {t, Value::of_integer(thaw / update_.every)});
  }

  ValueId add_slot(const std::string& path, const Trainable& parameter, const Shape& shape, const Initializer& init) {
    context_.slot_owners[path] = parameter.path;
    return context_.add_state(path, parameter.op, Role::slot, {DType::f32, shape}, init, parameter.loc);
  }

  void step(const Trainable& parameter, ValueId gradient, const Settings& settings) {
    Env arguments(definition_.is_std ? nullptr : context_.vars), names(&arguments);
    evaluator_.bind(definition_, settings.given, arguments, setting_.loc);
    arguments.set("lr", settings.lr);
    thaw_ = context_.rules.thaw_step(parameter.path, parameter.op);
    settings_text_ = thaw_ > 0 ? "thaw=" + std::to_string(thaw_) + ";" : "";
    settings_text_ += "lr=" + settings.lr.host_formula().print(host_variables()) + ";" + settings.text;
    names.set("p", Value::of_tensor(context_.value_of(parameter.tensor)));
    names.set("g", Value::of_tensor(gradient));
    names.set("t", own_step(thaw_));
    for (const auto& [name, formula] : definition_.let) names.set_lazy(name, formula, &names);
    tensors_.clear();
    for (const TensorRule& rule : definition_.state) {
      Value value = slot(rule, parameter, names);
      names.set(rule.name, std::move(value));
    }
    for (const auto& [name, formula] : definition_.step) {
      Value value = evaluator_.eval(formula, names);
      if (auto it = host_.find(name); it != host_.end()) {
        if (!value.is_scalar())
          throw SpecError(evaluator_.place(formula->loc), "slot '" + name + "' has shape [] and must be a number of the host");
        context_.graph.host_state[static_cast<size_t>(it->second.first)].update = value.host_formula();
      }
      names.set(name, std::move(value));
    }
    for (const auto& [name, tensor] : tensors_) store(tensor, *evaluator_.lookup(name, names, setting_.loc), name);
    Value p = *evaluator_.lookup("p", names, setting_.loc);
    store(parameter.tensor, p, "p");
  }

  const UpdateSetting& update_;
  Evaluator& evaluator_;
  Context& context_;
  int rate_variable_;
  TypedSetting setting_;
  const Definition& definition_;
  std::vector<Given> given_;
  double rate_ = 0;                           // as written
  std::string slot_prefix_;
  std::map<std::string, TensorId> tensors_;   // slots of the parameter at work
  std::string settings_text_;                 // of the parameter at work
  int64_t thaw_ = 0;                          // of the parameter at work
  std::map<std::string, std::pair<int, std::map<std::string, int>>> host_;   // slots of shape []: the one at work, all by settings
};

bool accumulates(const UpdateSetting& update, Evaluator& evaluator) {
  if (!update.accumulate) return false;
  Value n = read_argument(*update.accumulate, nullptr, *evaluator.context().vars, evaluator);
  return integer_of(n, update.accumulate->loc, "'accumulate'") > 1;
}

// torch.nn.utils.clip_grad_norm_ and clip_grad_value_.
void clip_gradients(const Node& clip, std::vector<ValueId>& gradients, Evaluator& evaluator) {
  Builder& b = evaluator.builder();
  b.at(clip.loc);
  if (!clip.is(Node::Kind::map) || clip.entries.size() != 1) throw SpecError(clip.loc, "'clip' is {norm: number} or {value: number}");
  const auto& [key, node] = clip.entries[0];
  double limit = number_of(read_argument(node, nullptr, *evaluator.context().vars, evaluator), node.loc, "'" + key.text + "' of clip");
  if (limit <= 0) throw SpecError(node.loc, "'" + key.text + "' of clip must be above 0; it is " + format_number(limit));
  if (key.text == "value") {
    for (ValueId& g : gradients)
      if (g != kNoValue) g = b.binary(OpCode::max, b.binary(OpCode::min, g, b.constant(limit)), b.constant(-limit));
    return;
  }
  if (key.text != "norm") throw SpecError(key.loc, "unknown key '" + key.text + "' of clip; keys are norm, value");
  ValueId total = kNoValue;
  for (ValueId g : gradients) {
    if (g == kNoValue) continue;
    ValueId part = b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, g, g), std::nullopt, false, false);
    total = total == kNoValue ? part : b.binary(OpCode::add, total, part);
  }
  if (total == kNoValue) return;
  ValueId norm = b.unary(OpCode::sqrt, total);
  ValueId factor =
      b.binary(OpCode::min, b.binary(OpCode::div, b.constant(limit), b.binary(OpCode::add, norm, b.constant(1e-6))), b.constant(1));
  for (ValueId& g : gradients)
    if (g != kNoValue) g = b.binary(OpCode::mul, g, factor);
}

// The trainable parameters that the update names. Some may be frozen for a time, not all of them for good.
std::vector<const Trainable*> trained_by(const UpdateSetting& update, const Context& context) {
  std::vector<const Trainable*> out;
  for (const Trainable& t : context.trainables)
    if (update.trains(t.path)) out.push_back(&t);
  std::vector<std::string> paths;
  const Node* frozen = nullptr;
  for (const StateTensor& t : context.state) {
    if (t.tensor.role != Role::parameter) continue;
    const std::string& path = t.tensor.path;
    paths.push_back(path);
    const Rule* rule = update.trains(path) ? context.rules.train_rule(path, context.owners.at(path)) : nullptr;
    if (rule && !frozen) frozen = rule->setting("frozen");
  }
  for (const std::string& glob : update.match) {
    if (std::any_of(paths.begin(), paths.end(), [&](const std::string& path) { return glob_match(glob, path); })) continue;
    // "generater.*" is most like "generator.*".
    std::vector<std::string> globs = paths;
    for (const std::string& path : paths) globs.push_back(path.substr(0, path.find('.')) + ".*");
    throw SpecError(
        misnamed(update.params->loc, "'" + glob + "' matches no parameter of the networks that the update calls", nearest(glob, globs)));
  }
  if (out.empty() && frozen && context.all_thawed())
    throw SpecError(frozen->loc, "every parameter " + (update.name.empty() ? "" : "that the update '" + update.name + "' trains ") +
                                     "is frozen for good: there is nothing to train");
  return out;
}

}  // namespace

double optimizer_rate(const UpdateSetting& update, Evaluator& evaluator) { return Optimizer(update, 0, evaluator).rate(); }

void build_update(const std::vector<UpdateSetting>& updates, size_t index, double base_rate, ValueId loss, bool gather,
                  Evaluator& evaluator) {
  const UpdateSetting& update = updates[index];
  Context& context = evaluator.context();
  std::vector<const Trainable*> trained = trained_by(update, context);
  std::vector<ValueId> values;
  for (const Trainable* t : trained) values.push_back(context.value_of(t->tensor));
  std::vector<ValueId> gradients = differentiate(context.graph, loss, values, context.gradients);
  size_t first = context.graph.ops.size();
  Optimizer optimizer(update, index, evaluator);
  if (accumulates(update, evaluator)) {
    ScopeId former = context.builder.enter(update.prefix() + "accumulate", update.accumulate->loc);
    for (size_t i = 0; i < gradients.size(); ++i)
      if (gradients[i] != kNoValue) gradients[i] = optimizer.accumulated(*trained[i], gradients[i], gather);
    context.builder.leave(former);
    if (gather) {
      for (size_t i = first; i < context.graph.ops.size(); ++i) context.graph.ops[i].part = StepPart::update;
      return;
    }
  }
  if (update.clip) {
    ScopeId former = context.builder.enter(update.prefix() + "clip", update.clip->loc);
    clip_gradients(*update.clip, gradients, evaluator);
    context.builder.leave(former);
  }
  bool waits = trained.empty() && !context.all_thawed();
  if (!update.name.empty() && !waits && std::all_of(gradients.begin(), gradients.end(), [](ValueId g) { return g == kNoValue; }))
    throw SpecError(update.params ? update.params->loc : update.loc,
                    "the loss of the update '" + update.name + "' reaches none of the parameters that it trains");
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Trainable& t = *trained[i];
    if (gradients[i] == kNoValue) {
      if (update.name.empty() || update.params) context.unreached.push_back({t.path, t.loc, update.name});
      continue;
    }
    bool again = std::any_of(updates.begin(), updates.begin() + static_cast<std::ptrdiff_t>(index),
                             [&](const UpdateSetting& u) { return u.trains(t.path); });
    optimizer.update(t, gradients[i], base_rate, again ? update.prefix() : "");
    auto known = context.trained.end();
    if (again) known = std::find_if(context.trained.begin(), known, [&](const auto& entry) { return entry.first.tensor == t.tensor; });
    if (known == context.trained.end()) context.trained.emplace_back(t, update.every);
    else known->second = std::min(known->second, update.every);
  }
  for (size_t i = first; i < context.graph.ops.size(); ++i) context.graph.ops[i].part = StepPart::update;
}

}  // namespace mlc
