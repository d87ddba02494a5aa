// Items that join other items: groups, residuals, sums and products of named values, formulas.
#include "compiler/base/text.h"
#include "compiler/model/items.h"

namespace mlc {

using Kind = Value::Kind;

Value Items::group(Call& call, const Node& list, const std::string& prefix) {
  if (list.is(Node::Kind::list) && list.items.empty()) throw SpecError(evaluator_.place(list.loc), "the list holds no items");
  ItemScope inner(prefix, &call.scope.env, call.scope.depth + 1);
  Value value = run(list, inner, call.inputs[0]);
  reach_within(call, inner);
  return value;
}

void Items::reach_within(Call& call, const ItemScope& inner) {
  std::string head = inner.prefix.substr(call.scope.prefix.size());
  for (const auto& [name, entry] : inner.env.own()) call.scope.env.set(head + name, entry.value);
}

Value Items::residual(Call& call) {
  const Value input = call.inputs[0];
  Value branch = group(call, *call.item.value, call.path + ".");
  Value straight = call.item.shortcut ? group(call, *call.item.shortcut, call.path + ".shortcut.") : input;
  if (branch.is(Kind::unknown) || straight.is(Kind::unknown)) return Value::make_unknown();
  Loc loc = evaluator_.place(call.item.loc);
  Builder& b = context_.builder;
  b.at(loc);
  Shape left = b.sample_shape(straight.tensor), right = b.sample_shape(branch.tensor);
  if (left != right) {
    SpecError error(loc, call.path + ": the branch must keep the shape of what it is added to; a 'shortcut' can change it");
    error.diagnostic.lines = {"expected  " + format_shape(left), "found     " + format_shape(right)};
    error.diagnostic.shapes = true;
    note_shape(error.diagnostic, branch, "the branch");
    if (call.item.shortcut) note_shape(error.diagnostic, straight, "the shortcut");
    throw error;
  }
  return Value::of_tensor(b.binary(OpCode::add, straight.tensor, branch.tensor));
}

void Items::note_shape(Diagnostic& diagnostic, const Value& value, const std::string& what) {
  auto producer = context_.producers.find(value.tensor);
  if (producer != context_.producers.end())
    diagnostic.notes.push_back(
        {producer->second.loc, what + " gives " + format_shape(context_.builder.sample_shape(value.tensor)) + " here"});
}

// What is joined was named elsewhere: the places of its parts tell more than the place of the join.
Value Items::joined(Call& call) {
  try {
    return join_values(call);
  } catch (SpecError& error) {
    const Node* names = call.item.from ? call.item.from : call.item.value;
    if (error.diagnostic.shapes && names && names->is(Node::Kind::list))
      for (size_t i = 0; i < call.inputs.size(); ++i)
        if (call.inputs[i].is(Kind::tensor)) note_shape(error.diagnostic, call.inputs[i], "'" + names->items[i].text + "'");
    throw;
  }
}

Value Items::join_values(Call& call) {
  const std::string& op = call.item.op;
  Loc loc = evaluator_.place(call.item.loc);
  Builder& b = context_.builder;
  for (const Value& v : call.inputs)
    if (v.is(Kind::unknown)) return v;
  if (call.inputs.size() < 2)
    throw SpecError(loc,
                    "'" + op + "' needs at least two values: " + (op == "concat" ? "{concat: {dim: 0}, from: [a, b]}" : op + ": [a, b]"));
  b.at(loc);
  if (op == "concat") {
    std::vector<Given> given = given_of(call, nullptr, {"parts", "dim"}, 1);
    if (given.size() != 1 || given[0].name != "dim")
      throw SpecError(loc, "concat needs 'dim': 0 for the channels of an image, -1 for features");
    int64_t dim = integer_of(given[0].value, given[0].loc, "'dim' of concat");
    int64_t rank = b.rank(call.inputs[0].tensor);
    if (dim < -rank || dim >= rank)
      throw SpecError(given[0].loc, "axis " + std::to_string(dim) + " does not exist: a sample has " + std::to_string(rank) +
                                        (rank == 1 ? " axis" : " axes") + "; the batch is not counted");
    std::vector<ValueId> parts;
    for (const Value& v : call.inputs) parts.push_back(v.tensor);
    return Value::of_tensor(b.concat(parts, dim));
  }
  ValueId total = call.inputs[0].tensor;
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    ValueId next = call.inputs[i].tensor;
    total = op == "matmul" ? b.matmul(total, next) : b.binary(op == "add" ? OpCode::add : OpCode::mul, total, next);
  }
  return Value::of_tensor(total);
}

Value Items::structural(Call& call) {
  const Item& item = call.item;
  Loc loc = evaluator_.place(item.loc);
  if (item.init) throw SpecError(evaluator_.place(item.init->loc), "'" + item.op + "' has no parameters to initialise");
  Value value;
  if (item.op == "layers" || item.op == "residual") {
    if (!item.value) throw SpecError(loc, "'" + item.op + "' needs a list of items");
    value = item.op == "layers" ? group(call, *item.value, call.path + ".") : residual(call);
  } else if (item.op == "expr") {
    if (!item.value || !item.value->is_scalar()) throw SpecError(loc, "'expr' needs a formula");
    value = evaluator_.eval(parse_formula(*item.value), call.env);
    if (!value.is(Kind::tensor) && !value.is(Kind::unknown))
      throw SpecError(evaluator_.place(item.value->loc), "the formula must give a tensor; it gives " + show_value(value));
  } else {
    value = joined(call);
  }
  if (item.op != "layers") remember(call, value);
  return value;
}

}  // namespace mlc
