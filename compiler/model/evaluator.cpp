#include "compiler/model/evaluator.h"

#include "compiler/base/text.h"
#include "compiler/model/definition_names.h"
#include "compiler/model/networks.h"
#include "compiler/model/primitives.h"
#include "compiler/spec/spec.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mlc {
namespace {

using Kind = Value::Kind;

// "a.b.c" of an attribute chain over names; empty when it is none.
std::string dotted(const Expr& expr) {
  if (expr.kind == Expr::Kind::name) return expr.name;
  if (expr.kind != Expr::Kind::attribute) return "";
  std::string head = dotted(*expr.kids[0]);
  return head.empty() ? "" : head + "." + expr.name;
}

// What is meant where a tensor is indexed like a list.
std::string part_of(const Value& value) {
  return value.is(Kind::tensor) ? "; slice(x, dim, start, stop) takes a part of it, axes without the batch" : "";
}

}  // namespace

Loc Evaluator::place(const Expr& expr) {
  if (!std_place_) return expr.loc;
  std_loc_ = expr.whole ? expr.whole : expr.loc;
  return *std_place_;
}

void Evaluator::rethrow(const Definition& definition, SpecError error, Loc loc, std::optional<Loc> outer) {
  if (outer) throw error;
  if (definition.is_std) {
    if (std_loc_) error.diagnostic.notes.push_back({std_loc_, "in '" + definition.name() + "' of the standard library"});
  } else if (error.diagnostic.loc != loc) {
    error.diagnostic.notes.push_back({loc, "'" + definition.name() + "' is used here"});
  }
  throw error;
}

Value Evaluator::eval(const Expr& expr, Env& env) {
  switch (expr.kind) {
  case Expr::Kind::number: return expr.integer ? Value::of_integer(*expr.integer) : Value::of_real(expr.value);
  case Expr::Kind::text: return Value::of_text(expr.name);
  case Expr::Kind::name: return name(expr, env);
  case Expr::Kind::unary: {
    Value a = eval(expr.kids[0], env);
    return unary(expr.name, a, place(expr));
  }
  case Expr::Kind::binary: {
    if (expr.name == "and" || expr.name == "or") return logical(expr, env);
    Value a = eval(expr.kids[0], env), b = eval(expr.kids[1], env);
    return binary(expr.name, a, b, place(expr));
  }
  case Expr::Kind::conditional: return conditional(expr, env);
  case Expr::Kind::call: return call_expr(expr, env);
  case Expr::Kind::attribute: return attribute(expr, env);
  case Expr::Kind::index: return index(expr, env);
  case Expr::Kind::slice: return slice(expr, env);
  case Expr::Kind::list: {
    std::vector<Value> items;
    for (const ExprPtr& kid : expr.kids) items.push_back(eval(kid, env));
    return Value::of_list(std::move(items));
  }
  }
  throw InternalError("unknown kind of expression");
}

const Value* Evaluator::lookup(const std::string& name, Env& env, Loc loc) {
  Env::Entry* entry = env.find(name);
  if (!entry) return nullptr;
  if (entry->state == Env::Entry::State::running) throw SpecError(loc, "'" + name + "' is defined by itself");
  if (entry->state == Env::Entry::State::waiting) {
    entry->state = Env::Entry::State::running;
    try {
      entry->value = eval(entry->formula, *entry->home);
    } catch (const SpecError&) {
      entry->state = Env::Entry::State::waiting;
      throw;
    }
    entry->state = Env::Entry::State::done;
  }
  return &entry->value;
}

Value Evaluator::name(const Expr& expr, Env& env) {
  Loc loc = place(expr);
  if (const Value* value = lookup(expr.name, env, loc)) return *value;
  if (expr.name == "none") return {};
  if (expr.name == "true" || expr.name == "false") return Value::of_flag(expr.name == "true");
  if (expr.name == "inf") return Value::of_real(std::numeric_limits<double>::infinity());
  if (expr.name == "pi") return Value::of_real(3.141592653589793);
  if (expr.name == "train") return Value::of_flag(context_.train());
  throw unknown_value(expr.name, loc, env.names());
}

std::optional<Value> Evaluator::data_attribute(const std::string& name, Loc loc) {
  const Schema& schema = context_.schema;
  if (schema.columns.empty()) return Value::make_unknown();
  if (name == "range") return Value::of_real(context_.range);
  if (name == "vocab" && schema.vocabulary.empty()) throw SpecError(loc, "data.vocab: the data are no text");
  if (name == "vocab") return Value::of_integer(static_cast<int64_t>(schema.vocabulary.size()));
  if (name == "classes") {
    for (const ColumnSchema& column : schema.columns)
      if (column.target && column.meaning == ColumnSchema::Meaning::index)
        return Value::of_integer(static_cast<int64_t>(column.classes.size()));
    throw SpecError(loc, "data.classes: the data have no class target");
  }
  if (name == "features") {
    for (const ColumnSchema& column : schema.columns)
      if (!column.target && !column.type.shape.empty()) return Value::of_integer(column.type.shape.back());
    throw SpecError(loc, "data.features: the data have no features");
  }
  return std::nullopt;
}

// Of a column of indices: how many classes there are (of several categories the most), and how often the training rows have
// each; where the rows are not known, once.
Value Evaluator::class_attribute(const Value& value, const std::string& name, Loc loc) {
  auto column = value.is(Kind::tensor) ? context_.columns.find(value.tensor) : context_.columns.end();
  const ColumnSchema* c = column == context_.columns.end() ? nullptr : column->second;
  if (c && name == "classes" && !c->categories.empty() && !is_float(c->type.dtype)) {
    size_t most = 0;
    for (const ColumnSchema::Category& category : c->categories) most = std::max(most, category.labels.size());
    if (most == 0)
      throw SpecError(loc,
                      "the labels of '" + c->name + "' are in the data, which are not here: to check without them, write their number");
    return Value::of_integer(static_cast<int64_t>(most));
  }
  if (!c || c->classes.empty()) throw SpecError(loc, "'." + name + "' needs a column of classes, as the data have it");
  if (name == "classes") return Value::of_integer(static_cast<int64_t>(c->classes.size()));
  return Value::of_shape(c->counts.empty() ? Shape(c->classes.size(), 1) : c->counts);
}

Value Evaluator::tensor_attribute(const Value& value, const std::string& name, Loc loc) {
  if (value.is(Kind::unknown)) return value;
  if (value.within)
    if (auto it = value.within->find(name); it != value.within->end()) return it->second;
  if (value.names) {
    auto at = std::find(value.names->begin(), value.names->end(), name);
    if (at != value.names->end()) return (*value.list)[static_cast<size_t>(at - value.names->begin())];
    throw SpecError(
        misnamed(loc, "there is no output '" + name + "' here; there are " + join(*value.names, ", "), nearest(name, *value.names)));
  }
  if (name == "classes" || name == "counts") return class_attribute(value, name, loc);
  bool known = name == "shape" || name == "features" || name == "channels";
  if (!known) {
    std::vector<std::string> names = {"shape", "features", "channels"};
    if (value.within)
      for (const auto& [inner, tensor] : *value.within) names.push_back(inner);
    std::string near = nearest(name, names), function = near.empty() ? suggest(name, function_names(context_.library)) : "";
    throw SpecError(misnamed(loc, "unknown attribute '" + name + "'; a tensor has shape, features and channels", near,
                             function.empty() ? "" : "; a function takes it: " + function + "(x)"));
  }
  if (!value.is(Kind::tensor) && !value.is_scalar()) throw SpecError(loc, "'." + name + "' needs a tensor, not " + show_value(value));
  Shape shape = value.is(Kind::tensor) ? builder().sample_shape(value.tensor) : Shape{};
  if (name == "shape") return Value::of_shape(shape);
  if (shape.empty()) throw SpecError(loc, "'." + name + "' needs at least one axis; the sample is a single number");
  return Value::of_integer(name == "features" ? shape.back() : shape.front());
}

// "h.block1.hidden" where h is what a network gave: a name within it.
const Value* Evaluator::within(const std::string& path, Env& env, Loc loc) {
  size_t dot = path.find('.');
  if (dot == std::string::npos) return nullptr;
  const Value* head = lookup(path.substr(0, dot), env, loc);
  if (!head || !head->within) return nullptr;
  auto it = head->within->find(path.substr(dot + 1));
  return it == head->within->end() ? nullptr : &it->second;
}

Value Evaluator::attribute(const Expr& expr, Env& env) {
  Loc loc = place(expr);
  std::string path = dotted(expr);
  if (!path.empty())
    if (const Value* value = lookup(path, env, loc)) return *value;
  if (const Value* value = within(path, env, loc)) return *value;
  const Expr& head = *expr.kids[0];
  if (head.kind == Expr::Kind::name && head.name == "data" && !env.find("data")) {
    if (auto value = data_attribute(expr.name, loc)) return *value;
    std::string known = "; there are data.classes, data.features and data.vocab";
    throw SpecError(misnamed(loc, "unknown name 'data." + expr.name + "'", nearest(expr.name, {"classes", "features", "vocab"}), known));
  }
  return tensor_attribute(eval(head, env), expr.name, loc);
}

Value Evaluator::conditional(const Expr& expr, Env& env) {
  Value c = eval(expr.kids[1], env);
  Loc loc = place(*expr.kids[1]);
  if (c.is(Kind::unknown)) return c;
  if (!c.is(Kind::tensor) && !c.is(Kind::host)) return eval(expr.kids[truth_of(c, loc, "the condition") ? 0 : 2], env);
  Value a = eval(expr.kids[0], env), b = eval(expr.kids[2], env);
  return select(c, a, b, place(expr));
}

Value Evaluator::select(const Value& c, const Value& a, const Value& b, Loc loc) {
  for (const Value* v : {&c, &a, &b})
    if (v->is(Kind::unknown)) return *v;
  builder().at(loc);
  if (c.is_number()) return truth_of(c, loc, "the condition") ? a : b;
  if (c.is(Kind::host) && a.is_scalar() && b.is_scalar()) return host_apply(HostFormula::Op::select, {c, a, b});
  ValueId condition = tensor(c, loc);
  if (context_.graph.type(condition).dtype != DType::boolean)
    condition = builder().binary(OpCode::ne, condition, tensor(Value::of_integer(0), loc, condition));
  ValueId x = a.is(Kind::tensor) ? a.tensor : tensor(a, loc, b.is(Kind::tensor) ? b.tensor : kNoValue);
  ValueId y = tensor(b, loc, x);
  return Value::of_tensor(builder().select(condition, x, y));
}

namespace {

// a < b < c, which parses as (a < b) and (b < c) with one tree for both b.
bool is_chain(const Expr& expr) {
  auto is_and = [](const Expr& e) { return e.kind == Expr::Kind::binary && e.name == "and"; };
  if (!is_and(expr) || expr.kids[1]->kind != Expr::Kind::binary) return false;
  const Expr& before = is_and(*expr.kids[0]) ? *expr.kids[0]->kids[1] : *expr.kids[0];
  return before.kind == Expr::Kind::binary && before.kids[1] == expr.kids[1]->kids[0];
}

// Each term is evaluated once: it may draw at random. `last` becomes the value of the rightmost.
Value chain(const Expr& expr, Env& env, Value& last, Evaluator& evaluator) {
  if (!is_chain(expr)) {
    Value first = evaluator.eval(expr.kids[0], env);
    last = evaluator.eval(expr.kids[1], env);
    return evaluator.binary(expr.name, first, last, evaluator.place(expr.loc));
  }
  Value middle, left = chain(*expr.kids[0], env, middle, evaluator);
  const Expr& link = *expr.kids[1];
  if (left.is_number() && left.number() == 0) return left;
  last = evaluator.eval(link.kids[1], env);
  Value right = evaluator.binary(link.name, middle, last, evaluator.place(link.loc));
  return left.is_number() ? right : evaluator.binary("and", left, right, evaluator.place(expr.loc));
}

}  // namespace

Value Evaluator::logical(const Expr& expr, Env& env) {
  if (Value last; is_chain(expr)) return chain(expr, env, last, *this);
  bool is_and = expr.name == "and";
  Value a = eval(expr.kids[0], env);
  if (a.is_number() || a.is(Kind::none)) {
    bool truth = truth_of(a, place(*expr.kids[0]), "the condition");
    return truth == is_and ? eval(expr.kids[1], env) : a;
  }
  Value b = eval(expr.kids[1], env);
  return binary(expr.name, a, b, place(expr));
}

Value Evaluator::index(const Expr& expr, Env& env) {
  Value list = eval(expr.kids[0], env), at = eval(expr.kids[1], env);
  Loc loc = place(*expr.kids[1]);
  if (list.is(Kind::unknown) || at.is(Kind::unknown)) return Value::make_unknown();
  if (!list.is(Kind::list)) throw SpecError(loc, "only a list has elements to pick by [...]; this is " + show_value(list) + part_of(list));
  auto size = static_cast<int64_t>(list.list->size());
  int64_t i = integer_of(at, loc, "an index");
  if (i < -size || i >= size) throw SpecError(loc, "index " + std::to_string(i) + " is outside of the list of " + std::to_string(size));
  return (*list.list)[static_cast<size_t>(i < 0 ? i + size : i)];
}

Value Evaluator::slice(const Expr& expr, Env& env) {
  Value list = eval(expr.kids[0], env);
  if (list.is(Kind::unknown)) return list;
  Loc loc = place(expr);
  if (!list.is(Kind::list)) throw SpecError(loc, "only a list has slices; this is " + show_value(list) + part_of(list));
  auto size = static_cast<int64_t>(list.list->size());
  auto bound = [&](const ExprPtr& kid, int64_t fallback) {
    if (!kid) return fallback;
    int64_t i = integer_of(eval(kid, env), place(*kid), "a slice's bound");
    return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size);
  };
  int64_t begin = bound(expr.kids[1], 0), end = std::max(begin, bound(expr.kids[2], size));
  return Value::of_list(std::vector<Value>(list.list->begin() + begin, list.list->begin() + end));
}

Value Evaluator::call_expr(const Expr& expr, Env& env) {
  std::vector<Given> given;
  bool unknown = false;
  for (const Argument& argument : expr.arguments) {
    // An element type is a word, not a name: cast(x, f32).
    DType dtype;
    bool word = argument.value->kind == Expr::Kind::name && !env.find(argument.value->name) && parse_dtype(argument.value->name, &dtype);
    Value value = word ? Value::of_text(argument.value->name) : eval(argument.value, env);
    unknown |= value.is(Kind::unknown);
    given.push_back({argument.name, std::move(value), std_place_ ? *std_place_ : argument.loc});
  }
  Loc loc = place(expr);
  uint32_t file = expr.loc.file;
  bool user = !std_place_.has_value();
  if (const Network* network = user && context_.networks ? context_.networks->find(expr.name) : nullptr)
    return context_.networks->call(*network, given, loc);
  const Definition* definition = user ? context_.library.find_user(DefinitionKind::function, expr.name, file) : nullptr;
  const Primitive* primitive = definition ? nullptr : find_primitive(expr.name);
  if (!definition && !primitive) definition = context_.library.find(DefinitionKind::function, expr.name, file);
  if (!definition && !primitive)
    throw unknown_function(expr.name, loc, context_.networks ? context_.networks->names() : std::vector<std::string>{}, context_.library);
  if (unknown) return Value::make_unknown();
  builder().at(loc);
  if (primitive) return apply_primitive(*primitive, *this, given, loc);
  return call(*definition, given, loc);
}

ValueId Evaluator::tensor(const Value& value, Loc loc, ValueId like) {
  builder().at(loc);
  switch (value.kind) {
  case Kind::tensor: return value.tensor;
  case Kind::flag:
    if (like != kNoValue && context_.graph.type(like).dtype == DType::boolean)
      return builder().constant(static_cast<double>(value.whole), DType::boolean);
    [[fallthrough]];
  case Kind::integer: {
    bool integral = like != kNoValue && !is_float(context_.graph.type(like).dtype) && std::llabs(value.whole) < (1ll << 31);
    return builder().constant(static_cast<double>(value.whole), integral ? DType::i32 : DType::f32);
  }
  case Kind::real: return builder().constant(value.real);
  case Kind::host: {
    std::vector<std::string> variables = host_variables();
    for (const HostState& state : context_.graph.host_state) variables.push_back(state.path);
    return builder().scalar(builder().add_scalar({.name = value.host->print(variables), .formula = *value.host}));
  }
  default: throw SpecError(loc, "a number or a tensor is needed here, not " + show_value(value));
  }
}

ValueId Evaluator::sum_to(ValueId cotangent, ValueId operand) {
  Builder& b = builder();
  const Graph& graph = context_.graph;
  if (graph.op(cotangent).per_sample && !graph.op(operand).per_sample)
    cotangent = b.reduce(OpCode::reduce_sum, cotangent, std::vector<int64_t>{}, false, true);
  Shape have = b.sample_shape(cotangent), want = b.sample_shape(operand);
  if (have != want) {
    std::vector<int64_t> dims;
    size_t extra = have.size() > want.size() ? have.size() - want.size() : 0;
    for (size_t i = 0; i < have.size(); ++i)
      if (i < extra || (have[i] != 1 && want[i - extra] == 1)) dims.push_back(static_cast<int64_t>(i));
    if (!dims.empty()) cotangent = b.reshape(b.reduce(OpCode::reduce_sum, cotangent, dims, false, false), want);
  }
  return b.broadcast_to(cotangent, want, graph.op(operand).per_sample);
}

}  // namespace mlc
