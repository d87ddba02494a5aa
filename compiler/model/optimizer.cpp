#include "compiler/model/optimizer.h"

#include "compiler/base/text.h"
#include "compiler/model/arguments.h"
#include "compiler/model/initializers.h"
#include "compiler/model/rules.h"

#include <algorithm>

namespace mlc {
namespace {

using Kind = Value::Kind;

class Updates {
public:
  Updates(const Node& train, Evaluator& evaluator)
      : train_(train), evaluator_(evaluator), context_(evaluator.context()), setting_(read(train)),
        definition_(find_typed(context_.library, DefinitionKind::optimizer, setting_)) {
    given_ = typed_arguments(definition_, setting_, {}, *context_.vars, evaluator);
    if (definition_.signature.parameters.empty() || definition_.signature.parameters[0].name != "lr")
      throw SpecError(setting_.loc, "the first argument of optimizer '" + definition_.name() + "' must be lr");
  }

  double rate() {
    return evaluator_.inside(definition_, setting_.loc, [&] {
      Env names(definition_.is_std ? nullptr : context_.vars);
      evaluator_.bind(definition_, given_, names, setting_.loc);
      evaluator_.require(definition_, names, setting_.loc);
      return number_of(*evaluator_.lookup("lr", names, setting_.loc), setting_.loc, "'lr' of " + definition_.name());
    });
  }

  void update(const Trainable& parameter, ValueId gradient, double rate) {
    ScopeId former = context_.builder.enter("optimizer." + parameter.path, setting_.loc);
    Env settings;
    rule_settings(parameter, rate, settings);
    evaluator_.inside(definition_, setting_.loc, [&] { step(parameter, gradient, settings); });
    context_.builder.leave(former);
  }

private:
  static TypedSetting read(const Node& train) {
    const Node* node = train.find("optimizer");
    if (!node || node->is(Node::Kind::null)) throw SpecError(node ? node->loc : train.loc, "'train' needs an 'optimizer'");
    return read_typed("optimizer", *node);
  }

  // The arguments that differ for this parameter: the rate of the run, and what a rule of train.params sets.
  void rule_settings(const Trainable& parameter, double rate, Env& out) {
    out.set("lr", Value::of_variable(kHostLr));
    const Rule* rule = context_.rules.train_rule(parameter.path, parameter.op);
    if (!rule) return;
    Env names(context_.vars);
    names.set("lr", Value::of_variable(kHostLr));
    if (const Node* lr = rule->setting("lr")) {
      Value value = read_argument(*lr, nullptr, names, evaluator_);
      // A plain number follows the schedule too, as the groups of torch.optim do.
      if (value.is_number() && rate != 0)
        value = host_apply(HostFormula::Op::mul, {Value::of_variable(kHostLr), Value::of_real(value.number() / rate)});
      if (!value.is_scalar()) throw SpecError(lr->loc, "'lr' must be a number; it is " + show_value(value));
      out.set("lr", value);
    }
    if (const Node* decay = rule->setting("weight_decay")) {
      const auto& known = definition_.signature.parameters;
      if (std::none_of(known.begin(), known.end(), [](const auto& p) { return p.name == "weight_decay"; }))
        throw SpecError(decay->loc, definition_.name() + " has no weight_decay");
      out.set("weight_decay", Value::of_real(number_of(read_argument(*decay, nullptr, names, evaluator_), decay->loc, "'weight_decay'")));
    }
  }

  // A slot's value as the step begins; its stand-in where its condition does not hold.
  Value slot(const TensorRule& rule, const Trainable& parameter, Env& names) {
    Loc loc = setting_.loc;
    if (rule.condition && !truth_of(evaluator_.eval(rule.condition, names), loc, "'if' of slot '" + rule.name + "'"))
      return rule.stand_in ? evaluator_.eval(rule.stand_in, names) : Value::of_integer(0);
    Shape shape = context_.builder.sample_shape(parameter.value);
    if (!rule.shape.is(Node::Kind::null)) {
      shape = integers_of(read_argument(rule.shape, nullptr, names, evaluator_), loc, "the shape of slot '" + rule.name + "'");
      if (shape.empty()) return host_slot(rule, parameter, names);
    }
    Initializer init;
    if (!rule.init.is(Node::Kind::null)) init = read_initializer(rule.init, shape, evaluator_, names);
    std::string path = "optimizer." + rule.name + "." + parameter.path;
    ValueId value = context_.add_state(path, parameter.op, Role::slot, {DType::f32, shape}, init, parameter.loc);
    tensors_[rule.name] = context_.graph.find_tensor(path);
    return Value::of_tensor(value);
  }

  // Parameters of the same settings share one number: their formulas stay equal, so that one loop updates them all.
  Value host_slot(const TensorRule& rule, const Trainable& parameter, Env& names) {
    auto& [index, shared] = host_[rule.name];
    bool first = shared.empty();
    auto [it, fresh] = shared.try_emplace(settings_text_, static_cast<int>(context_.graph.host_state.size()));
    index = it->second;
    if (fresh) {
      Initializer init;
      if (!rule.init.is(Node::Kind::null)) init = read_initializer(rule.init, {}, evaluator_, names);
      HostFormula keep = *Value::of_variable(kHostState + index).host;
      context_.graph.host_state.push_back({.path = "optimizer." + rule.name + (first ? "" : "." + parameter.path), .init = init.a, .update = keep});
    }
    return Value::of_variable(kHostState + index);
  }

  void store(TensorId tensor, const Value& value, const std::string& name) {
    ValueId id = evaluator_.tensor(value, setting_.loc);
    const Shape& shape = context_.graph.tensors[static_cast<size_t>(tensor)].type.shape;
    if (context_.builder.sample_shape(id) != shape) id = context_.builder.broadcast_to(id, shape, false);
    if (context_.graph.op(id).per_sample) throw SpecError(setting_.loc, definition_.name() + ": '" + name + "' depends on the sample");
    context_.builder.store(tensor, id);
  }

  void step(const Trainable& parameter, ValueId gradient, const Env& settings) {
    Env arguments(definition_.is_std ? nullptr : context_.vars), names(&arguments);
    evaluator_.bind(definition_, given_, arguments, setting_.loc);
    settings_text_.clear();
    for (const auto& [name, entry] : settings.own()) {
      arguments.set(name, entry.value);
      settings_text_ += name + "=" + entry.value.host_formula().print({"lr", "t", "k"}) + ";";
    }
    names.set("p", Value::of_tensor(parameter.value));
    names.set("g", Value::of_tensor(gradient));
    names.set("t", Value::of_variable(kHostT));
    for (const auto& [name, formula] : definition_.let) names.set_lazy(name, formula, &names);
    tensors_.clear();
    for (const TensorRule& rule : definition_.state) {
      Value value = slot(rule, parameter, names);
      names.set(rule.name, std::move(value));
    }
    for (const auto& [name, formula] : definition_.step) {
      Value value = evaluator_.eval(formula, names);
      if (auto it = host_.find(name); it != host_.end()) {
        if (!value.is_scalar()) throw SpecError(evaluator_.place(formula->loc), "slot '" + name + "' has shape [] and must be a number of the host");
        context_.graph.host_state[static_cast<size_t>(it->second.first)].update = value.host_formula();
      }
      names.set(name, std::move(value));
    }
    for (const auto& [name, tensor] : tensors_) store(tensor, *evaluator_.lookup(name, names, setting_.loc), name);
    store(context_.graph.find_tensor(parameter.path), *evaluator_.lookup("p", names, setting_.loc), "p");
  }

  const Node& train_;
  Evaluator& evaluator_;
  Context& context_;
  TypedSetting setting_;
  const Definition& definition_;
  std::vector<Given> given_;
  std::map<std::string, TensorId> tensors_;   // slots of the parameter at work
  std::string settings_text_;                 // of the parameter at work
  std::map<std::string, std::pair<int, std::map<std::string, int>>> host_;   // slots of shape []: the one at work, all by settings
};

// torch.nn.utils.clip_grad_norm_ and clip_grad_value_.
void clip_gradients(const Node& clip, std::vector<ValueId>& gradients, Evaluator& evaluator) {
  Builder& b = evaluator.builder();
  b.at(clip.loc);
  if (!clip.is(Node::Kind::map) || clip.entries.size() != 1)
    throw SpecError(clip.loc, "'clip' is {norm: number} or {value: number}");
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
  ValueId factor = b.binary(OpCode::min, b.binary(OpCode::div, b.constant(limit), b.binary(OpCode::add, norm, b.constant(1e-6))), b.constant(1));
  for (ValueId& g : gradients)
    if (g != kNoValue) g = b.binary(OpCode::mul, g, factor);
}

}  // namespace

double optimizer_rate(const Node& train, Evaluator& evaluator) { return Updates(train, evaluator).rate(); }

void build_updates(const Node& train, ValueId loss, Evaluator& evaluator) {
  Context& context = evaluator.context();
  std::vector<ValueId> parameters;
  for (const Trainable& t : context.trainables) parameters.push_back(t.value);
  std::vector<ValueId> gradients = differentiate(context.graph, loss, parameters, context.gradients);
  size_t first = context.graph.ops.size();
  Updates updates(train, evaluator);
  double rate = updates.rate();
  if (const Node* clip = train.find("clip"); clip && !clip->is(Node::Kind::null)) {
    ScopeId former = context.builder.enter("clip", clip->loc);
    clip_gradients(*clip, gradients, evaluator);
    context.builder.leave(former);
  }
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Trainable& t = context.trainables[i];
    if (gradients[i] != kNoValue) updates.update(t, gradients[i], rate);
    else context.diagnostics.warning(t.loc, "no-gradient", "the loss does not reach the parameter '" + t.path + "'");
  }
  for (size_t i = first; i < context.graph.ops.size(); ++i) context.graph.ops[i].part = StepPart::update;
}

}  // namespace mlc
