// Blocks: definitions with parameters and state, from items or from formulas.
#include "compiler/base/text.h"
#include "compiler/model/arguments.h"
#include "compiler/model/initializers.h"
#include "compiler/model/items.h"
#include "compiler/model/rules.h"

#include <algorithm>

namespace mlc {

using Kind = Value::Kind;

bool Context::frozen(const std::string& path, const std::string& op) const { return rules.thaw_step(path, op) > position; }

bool Context::averages(const std::string& path) const {
  return (kind == GraphKind::eval || kind == GraphKind::predict) && averaged.count(path);
}

TensorId Context::find_state(const std::string& path) { return builder.find_tensor(averages(path) ? "ema." + path : path); }

ValueId Context::add_state(const std::string& given, const std::string& op, Role role, Type type, Initializer init, Loc loc) {
  std::string path = role == Role::parameter && averages(given) ? "ema." + given : given;
  if (builder.find_tensor(path) >= 0) throw SpecError(loc, "the name '" + path + "' is taken");
  TensorId id = builder.add_tensor({.path = path, .type = type, .role = role});
  owners[path] = op;
  state.push_back({.tensor = graph.tensors[static_cast<size_t>(id)], .init = std::move(init), .loc = loc});
  ValueId value = builder.state(id);
  current_[id] = value;
  if (role == Role::parameter) {
    parameters += type.elements();
    if (!frozen(path, op)) trainables.push_back({.path = path, .op = op, .tensor = id, .loc = loc});
  }
  return value;
}

ValueId Context::value_of(TensorId tensor) {
  ValueId& value = current_.at(tensor);
  if (fresh_.erase(tensor)) value = builder.unary(OpCode::stop_gradient, value);
  return value;
}

void Context::change(TensorId tensor, ValueId value) {
  fresh_.insert(tensor);
  if (ever_changed_.insert(tensor).second) changed_.push_back(tensor);
  current_.at(tensor) = value;
}

void Context::store_changes() {
  for (TensorId tensor : changed_) builder.store(tensor, current_.at(tensor));
}

void Items::check_input(Call& call, const Definition& d) {
  if (!call.inputs[0].is(Kind::tensor)) return;
  Loc loc = evaluator_.place(call.item.loc);
  const Builder& b = context_.builder;
  Shape shape = b.sample_shape(call.inputs[0].tensor);
  std::string hint = d.input_text.empty() ? "" : ": " + d.input_text;
  if (d.input_rank && *d.input_rank != static_cast<int64_t>(shape.size())) {
    SpecError error(loc,
                    d.name() + " needs a sample of " + std::to_string(*d.input_rank) + (*d.input_rank == 1 ? " axis" : " axes") + hint);
    error.diagnostic.lines = {"found  " + format_shape(shape)};
    error.diagnostic.shapes = true;
    throw error;
  }
  DType dtype = context_.graph.type(call.inputs[0].tensor).dtype;
  if (d.input_dtype == "int" && is_float(dtype))
    throw SpecError(loc, d.name() + " needs integers, not " + std::string(dtype_name(dtype)) + hint);
  if (d.input_dtype == "float" && !is_float(dtype) && dtype != DType::u8)
    throw SpecError(loc, d.name() + " needs numbers, not indices" + hint);
}

Value Items::apply_block(Call& call, const Definition& d, const std::vector<Given>& given) {
  Loc loc = evaluator_.place(call.item.loc);
  std::vector<std::string> inputs = d.inputs.empty() ? std::vector<std::string>{"x"} : d.inputs;
  if (inputs.size() != call.inputs.size())
    throw SpecError(
        loc, d.name() + " takes " + std::to_string(inputs.size()) +
                 (inputs.size() == 1 ? " input, not " : " inputs (" + join(inputs, ", ") + "), not ") + std::to_string(call.inputs.size()) +
                 (inputs.size() > 1 && !call.item.from ? "; 'from: [" + join(inputs, ", ") + "]' beside it names values for them" : ""));
  check_input(call, d);
  return evaluator_.inside(d, loc, [&] {
    Env names(d.is_std ? nullptr : context_.vars);
    evaluator_.bind(d, given, names, loc);
    for (size_t i = 0; i < inputs.size(); ++i) names.set(inputs[i], call.inputs[i]);
    names.set("in", call.inputs[0]);
    if (call.inputs[0].is(Kind::tensor)) evaluator_.lint(d, call.inputs[0].tensor, loc);
    Value result = d.items ? block_of_items(call, d, names) : block_of_formulas(call, d, names);
    std::vector<std::pair<std::string, Value>> operands;
    for (size_t i = 0; i < inputs.size(); ++i) operands.emplace_back(inputs[i], call.inputs[i]);
    context_.add_use(d, loc, operands, result);
    return result;
  });
}

Value Items::block_of_items(Call& call, const Definition& d, Env& names) {
  if (call.item.init)
    throw SpecError(evaluator_.place(call.item.init->loc),
                    "the layers of '" + d.name() + "' set their own initialisers; 'init:' rules reach them by path");
  Env let(&names);
  for (const auto& [name, formula] : d.let) let.set_lazy(name, formula, &let);
  evaluator_.require(d, let, evaluator_.place(call.item.loc));
  ItemScope body(call.path + ".", &let, call.scope.depth + 1);
  Value value = run(*d.items, body, call.inputs[0]);
  if (!d.is_std) reach_within(call, body);
  if (d.outputs.empty()) return value;
  std::vector<Value> values;
  std::vector<std::string> called;
  for (const auto& [outside, within] : d.outputs) {
    values.push_back(named(within, body, d.items->loc));
    called.push_back(outside);
  }
  if (values.size() == 1) return values[0];
  if (std::any_of(values.begin(), values.end(), [](const Value& v) { return v.is(Kind::unknown); })) return Value::make_unknown();
  Value list = Value::of_list(std::move(values));
  list.names = std::make_shared<const std::vector<std::string>>(std::move(called));
  return list;
}

Value Items::own_tensor(Call& call, const Definition& d, const TensorRule& rule, Role role, Env& names) {
  Loc loc = evaluator_.place(call.item.loc);
  Shape shape;
  if (!rule.shape.is(Node::Kind::null)) {
    Value extents = read_argument(rule.shape, nullptr, names, evaluator_);
    shape = integers_of(extents, evaluator_.place(rule.shape.loc), "the shape of '" + rule.name + "'");
  }
  for (int64_t extent : shape)
    if (extent < 1)
      throw SpecError(loc, d.name() + " would have a '" + rule.name + "' of shape " + format_shape(shape) + "; extents must be at least 1");
  if (rule.condition && !truth_of(evaluator_.eval(rule.condition, names), evaluator_.place(rule.loc), "'if' of '" + rule.name + "'")) {
    Value stand_in = rule.stand_in ? evaluator_.eval(rule.stand_in, names) : Value::of_integer(0);
    if (!stand_in.is_number()) return stand_in;
    return Value::of_tensor(context_.builder.constant(stand_in.number(), DType::f32, shape));
  }
  const Node* settings = call.item.value;
  if (role == Role::parameter && settings && settings->is(Node::Kind::map))
    if (const Node* target = settings->find(rule.name))
      if (std::none_of(d.signature.parameters.begin(), d.signature.parameters.end(), [&](const auto& p) { return p.name == rule.name; }))
        return evaluator_.of_user([&] { return tied(call, *target, shape); });
  std::string path = call.path + "." + rule.name;
  if (role == Role::parameter) own_.insert(rule.name);
  if (TensorId known = context_.again ? context_.find_state(path) : -1; known >= 0) {
    const Shape& found = context_.graph.tensors[static_cast<size_t>(known)].type.shape;
    if (found == shape) return Value::of_tensor(context_.value_of(known));
    SpecError error(loc, "'" + path + "' has another shape in an earlier call of the network");
    error.diagnostic.lines = {"earlier  " + format_shape(found), "here     " + format_shape(shape)};
    throw error;
  }
  const Node* item_init = call.item.init ? call.item.init->find(rule.name) : nullptr;
  Initializer init;
  const Rule* init_rule = context_.rules.init_rule(path, call.item.op);
  bool from_rule = false;
  if (init_rule && context_.vars) {
    for (const auto& [key, value] : init_rule->node->entries) {
      const std::vector<std::string>& names_known = initializer_names();
      if (std::find(names_known.begin(), names_known.end(), key.text) == names_known.end()) continue;
      init = evaluator_.of_user(
          [&, &name = key.text, &setting = value] { return read_initializer(name, setting, shape, evaluator_, *context_.vars); });
      from_rule = true;
    }
  }
  if (!from_rule && item_init) {
    init = evaluator_.of_user([&] { return read_initializer(*item_init, shape, evaluator_, call.env); });
  } else if (!from_rule && !rule.init.is(Node::Kind::null)) {
    init = read_initializer(rule.init, shape, evaluator_, names);
  }
  return Value::of_tensor(context_.add_state(path, call.item.op, role, {DType::f32, shape}, std::move(init), loc));
}

// A tied tensor is found from the item's scope outwards.
Value Items::tied(Call& call, const Node& target, const Shape& shape) {
  Loc loc = evaluator_.place(target.loc);
  std::string prefix = call.scope.prefix;
  for (;;) {
    TensorId id = context_.find_state(prefix + target.text);
    if (id >= 0 && context_.is_state(id)) {
      const Shape& found = context_.graph.tensors[static_cast<size_t>(id)].type.shape;
      if (found != shape) {
        SpecError error(loc, "'" + target.text + "' does not have the shape that is needed here");
        error.diagnostic.lines = {"expected  " + format_shape(shape), "found     " + format_shape(found)};
        throw error;
      }
      return Value::of_tensor(context_.value_of(id));
    }
    if (prefix.empty()) break;
    size_t dot = prefix.find_last_of('.', prefix.size() - 2);
    prefix = dot == std::string::npos ? "" : prefix.substr(0, dot + 1);
  }
  std::vector<std::string> paths;
  for (const Trainable& t : context_.trainables) paths.push_back(t.path);
  throw SpecError(misnamed(loc, "no parameter is called '" + target.text + "'", nearest(target.text, paths)));
}

void Items::update_state(Call& call, const Definition& d, Env& names) {
  // All lines read the old values: the new ones are stored when the step ends.
  for (const auto& [name, formula] : d.update) {
    TensorId id = context_.builder.find_tensor(call.path + "." + name);
    if (id < 0) continue;
    Loc loc = evaluator_.place(call.item.loc);
    ValueId value = evaluator_.tensor(evaluator_.eval(formula, names), loc);
    Builder& b = context_.builder;
    if (context_.graph.op(value).per_sample)
      throw SpecError(loc, d.name() + ": the new '" + name + "' depends on the sample; reduce it with batch=true");
    context_.change(id, b.broadcast_to(value, context_.graph.tensors[static_cast<size_t>(id)].type.shape, false));
  }
}

Value Items::block_of_formulas(Call& call, const Definition& d, Env& arguments) {
  Loc loc = evaluator_.place(call.item.loc);
  if (call.item.init)
    evaluator_.of_user([&] {
      const Node& init = *call.item.init;
      if (!init.is(Node::Kind::map)) throw SpecError(init.loc, "'init' of an item is a map of its parameters: {weight: xavier_uniform}");
      for (const auto& [key, value] : init.entries) {
        std::vector<std::string> known;
        for (const TensorRule& rule : d.params) known.push_back(rule.name);
        if (std::find(known.begin(), known.end(), key.text) != known.end()) continue;
        throw SpecError(misnamed(key.loc, d.name() + " has no parameter '" + key.text + "'", nearest(key.text, known),
                                 known.empty() ? "" : "; it has " + join(known, ", ")));
      }
    });
  Env tensors(&arguments), names(&tensors);
  for (const auto& [name, formula] : d.let) names.set_lazy(name, formula, &names);
  bool frozen = !d.state.empty();
  for (const TensorRule& rule : d.state) frozen &= context_.frozen(call.path + "." + rule.name, call.item.op);
  if (frozen) arguments.set("train", Value::of_flag(false));
  evaluator_.require(d, names, loc);
  evaluator_.lint(d, names, loc);
  for (const TensorRule& rule : d.params) {
    Value value = own_tensor(call, d, rule, Role::parameter, names);
    tensors.set(rule.name, std::move(value));
  }
  for (const TensorRule& rule : d.state) {
    Value value = own_tensor(call, d, rule, Role::running, names);
    tensors.set(rule.name, std::move(value));
  }
  Value result = evaluator_.eval(d.result, names);
  if (!result.is(Kind::tensor)) throw SpecError(loc, d.name() + " gives no tensor here but " + show_value(result));
  if (context_.train() && !frozen) update_state(call, d, names);
  if (d.fit) context_.fits.push_back({.mean_path = call.path + ".mean", .std_path = call.path + ".std", .loc = loc});
  return result;
}

}  // namespace mlc
