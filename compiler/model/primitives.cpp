#include "compiler/model/primitives.h"

#include "compiler/base/hash.h"
#include "compiler/base/text.h"

#include <algorithm>
#include <cmath>

namespace mlc {
namespace {

using Kind = Value::Kind;
using Host = HostFormula::Op;

// Unary functions of numbers: the graph's op has the function's name.
const std::vector<std::pair<std::string_view, Host>> kUnary = {
    {"abs", Host::abs},     {"sign", Host::sign}, {"exp", Host::exp},         {"expm1", Host::expm1}, {"log", Host::log},
    {"log1p", Host::log1p}, {"sqrt", Host::sqrt}, {"rsqrt", Host::rsqrt},     {"sin", Host::sin},     {"cos", Host::cos},
    {"tanh", Host::tanh},   {"erf", Host::erf},   {"sigmoid", Host::sigmoid}, {"floor", Host::floor}, {"round", Host::round},
    {"isnan", Host::isnan}, {"ceil", Host::ceil}};

bool whole_result(std::string_view name) { return name == "floor" || name == "round" || name == "ceil"; }

std::string what(const PrimitiveCall& c, size_t i) { return argument_name(c, i); }

bool flag_argument(PrimitiveCall& c, size_t i) { return truth_of(c.args[i], c.loc, what(c, i)); }
Shape shape_argument(PrimitiveCall& c, size_t i) {
  if (c.args[i].is(Kind::integer)) return {c.args[i].whole};
  return integers_of(c.args[i], c.loc, what(c, i));
}

// Of a tensor that is made of nothing.
Shape new_shape_argument(PrimitiveCall& c, size_t i) {
  Shape shape = shape_argument(c, i);
  for (int64_t extent : shape)
    if (extent < 1) throw SpecError(c.loc, what(c, i) + " must have extents of at least 1; it is " + format_shape(shape));
  return shape;
}

Value unary(PrimitiveCall& c) {
  const Value& x = c.args[0];
  auto it = std::find_if(kUnary.begin(), kUnary.end(), [&](const auto& row) { return row.first == c.name; });
  ensure(it != kUnary.end(), "the unary function has a row");
  if (x.is_scalar()) {
    if (c.name == "abs" && x.is(Kind::integer)) return Value::of_integer(std::llabs(x.whole));
    Value result = host_apply(it->second, {x});
    if (result.is(Kind::host)) return result;
    if (std::isnan(result.real) && !std::isnan(x.number())) throw SpecError(c.loc, c.name + "(" + show_value(x) + ") is not a number");
    if (c.name == "isnan") return Value::of_flag(result.real != 0);
    if (whole_result(c.name) && std::fabs(result.real) < 0x1p53) return Value::of_integer(static_cast<int64_t>(result.real));
    return result;
  }
  Builder& b = c.evaluator.builder();
  ValueId id = tensor_argument(c, 0);
  if (c.name == "ceil") return Value::of_tensor(b.unary(OpCode::neg, b.unary(OpCode::floor, b.unary(OpCode::neg, id))));
  OpCode code;
  ensure(parse_op_code(c.name, &code), "the unary function has an op");
  return Value::of_tensor(b.unary(code, id));
}

std::optional<std::vector<int64_t>> dims_argument(PrimitiveCall& c, size_t i) {
  if (c.args[i].is(Kind::none)) return std::nullopt;
  return shape_argument(c, i);
}

Value reduce(PrimitiveCall& c, OpCode code, size_t dim) {
  ValueId x = tensor_argument(c, 0);
  return Value::of_tensor(
      c.evaluator.builder().reduce(code, x, dims_argument(c, dim), flag_argument(c, dim + 1), flag_argument(c, dim + 2)));
}

Value fold(PrimitiveCall& c, const std::string& op, int64_t start) {
  Value total = Value::of_integer(start);
  for (const Value& item : *c.args[0].list) total = c.evaluator.binary(op, total, item, c.loc);
  return total;
}

Value sum(PrimitiveCall& c) { return c.args[0].is(Kind::list) ? fold(c, "+", 0) : reduce(c, OpCode::reduce_sum, 1); }
Value prod(PrimitiveCall& c) { return c.args[0].is(Kind::list) ? fold(c, "*", 1) : reduce(c, OpCode::reduce_prod, 1); }

// max(x, y) of two values, max(list), max(x, dim=...) as a reduction.
Value extreme(PrimitiveCall& c) {
  bool greatest = c.name == "max";
  Evaluator& e = c.evaluator;
  auto pick = [&](const Value& a, const Value& b) {
    if (a.is(Kind::unknown) || b.is(Kind::unknown)) return Value::make_unknown();
    if (a.is_number() && b.is_number()) return (a.number() >= b.number()) == greatest ? a : b;
    if (a.is_scalar() && b.is_scalar()) return host_apply(greatest ? Host::max : Host::min, {a, b});
    ValueId x = e.tensor(a, c.loc, b.is(Kind::tensor) ? b.tensor : kNoValue), y = e.tensor(b, c.loc, x);
    return Value::of_tensor(e.builder().binary(greatest ? OpCode::max : OpCode::min, x, y));
  };
  if (c.args[0].is(Kind::list)) {
    if (c.args[0].list->empty()) throw SpecError(c.loc, c.name + " of an empty list");
    Value best = c.args[0].list->front();
    for (const Value& item : *c.args[0].list) best = pick(best, item);
    return best;
  }
  if (!c.args[1].is(Kind::none)) return pick(c.args[0], c.args[1]);
  return reduce(c, greatest ? OpCode::reduce_max : OpCode::reduce_min, 2);
}

Value argmax(PrimitiveCall& c) {
  ValueId x = tensor_argument(c, 0);
  if (c.args[1].is(Kind::none)) {
    Builder& b = c.evaluator.builder();
    int64_t rank = b.rank(x);
    x = b.argmax(b.reshape(x, {-1}), 0, false);
    return Value::of_tensor(flag_argument(c, 2) ? b.reshape(x, Shape(static_cast<size_t>(rank), 1)) : x);
  }
  return Value::of_tensor(c.evaluator.builder().argmax(x, integer_argument(c, 1, -1), flag_argument(c, 2)));
}

Value count(PrimitiveCall& c) {
  ValueId x = tensor_argument(c, 0);
  return Value::of_integer(c.evaluator.builder().reduced_count(x, dims_argument(c, 1), flag_argument(c, 3)));
}

Value len(PrimitiveCall& c) {
  if (c.args[0].is(Kind::text)) return Value::of_integer(static_cast<int64_t>(utf8_length(c.args[0].text)));
  if (!c.args[0].is(Kind::list)) throw SpecError(c.loc, "len needs a list, not " + show_value(c.args[0]));
  return Value::of_integer(static_cast<int64_t>(c.args[0].list->size()));
}

Value range(PrimitiveCall& c) {
  bool single = c.args[1].is(Kind::none);
  int64_t start = single ? 0 : integer_argument(c, 0), stop = integer_argument(c, single ? 0 : 1), step = integer_argument(c, 2, 1);
  if (step == 0) throw SpecError(c.loc, "the step of range must not be 0");
  if (std::fabs((static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step)) > 1e6)
    throw SpecError(c.loc, "the range would have more than 1000000 elements");
  std::vector<Value> items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) items.push_back(Value::of_integer(i));
  return Value::of_list(std::move(items));
}

Value ints(PrimitiveCall& c) {
  int64_t n = integer_argument(c, 1);
  if (c.args[0].is(Kind::list)) {
    std::vector<int64_t> list = integers_of(c.args[0], c.loc, what(c, 0));
    if (static_cast<int64_t>(list.size()) != n)
      throw SpecError(c.loc, what(c, 0) + " must be an integer or " + std::to_string(n) + " of them");
    return c.args[0];
  }
  return Value::of_shape(Shape(static_cast<size_t>(std::clamp<int64_t>(n, 0, 64)), integer_argument(c, 0)));
}

Value is_list(PrimitiveCall& c) { return Value::of_flag(c.args[0].is(Kind::list)); }

// How many entries of a rising list lie at or below a number: the index of a piece of a schedule.
Value reached(PrimitiveCall& c) {
  if (!c.args[0].is(Kind::list)) throw SpecError(c.loc, what(c, 0) + " must be a list");
  Value total = Value::of_integer(0);
  for (const Value& item : *c.args[0].list) total = c.evaluator.binary("+", total, c.evaluator.binary("<=", item, c.args[1], c.loc), c.loc);
  return total;
}

Value where(PrimitiveCall& c) { return c.evaluator.select(c.args[0], c.args[1], c.args[2], c.loc); }

Value cast(PrimitiveCall& c) {
  DType dtype;
  if (!c.args[1].is(Kind::text) || !parse_dtype(c.args[1].text, &dtype))
    throw SpecError(c.loc, "cast needs an element type: f32, i32, i64, u8 or bool");
  return Value::of_tensor(c.evaluator.builder().cast(tensor_argument(c, 0), dtype));
}

Value stop_gradient(PrimitiveCall& c) {
  if (c.args[0].is_scalar()) return c.args[0];
  return Value::of_tensor(c.evaluator.builder().unary(OpCode::stop_gradient, tensor_argument(c, 0)));
}

Value reshape(PrimitiveCall& c) { return Value::of_tensor(c.evaluator.builder().reshape(tensor_argument(c, 0), shape_argument(c, 1))); }
Value permute(PrimitiveCall& c) { return Value::of_tensor(c.evaluator.builder().permute(tensor_argument(c, 0), shape_argument(c, 1))); }
Value transpose(PrimitiveCall& c) {
  return Value::of_tensor(c.evaluator.builder().transpose(tensor_argument(c, 0), integer_argument(c, 1, -2), integer_argument(c, 2, -1)));
}

Value slice(PrimitiveCall& c) {
  auto bound = [&](size_t i) { return c.args[i].is(Kind::none) ? std::optional<int64_t>() : integer_argument(c, i); };
  return Value::of_tensor(
      c.evaluator.builder().slice(tensor_argument(c, 0), integer_argument(c, 1), bound(2), bound(3), integer_argument(c, 4, 1)));
}

// Each axis goes round once: its end stands before it, its beginning behind.
Value circular(PrimitiveCall& c, ValueId x, const std::vector<std::pair<int64_t, int64_t>>& widths) {
  Builder& b = c.evaluator.builder();
  Shape shape = b.sample_shape(x);
  if (widths.size() != shape.size())
    throw SpecError(c.loc, "pad: the shape " + format_shape(shape) + " has " + std::to_string(shape.size()) + " axes, " +
                               std::to_string(widths.size()) + " widths given");
  for (size_t i = 0; i < widths.size(); ++i) {
    auto [before, after] = widths[i];
    auto dim = static_cast<int64_t>(i);
    if (before < 0 || after < 0) throw SpecError(c.loc, "pad: a width is negative; slice takes elements away");
    if (std::max(before, after) > shape[i])
      throw SpecError(c.loc, "pad: circular needs widths of at most the " + std::to_string(shape[i]) + " elements of the axis, found " +
                                 std::to_string(std::max(before, after)));
    std::vector<ValueId> parts = {x};
    if (before) parts.insert(parts.begin(), b.slice(x, dim, shape[i] - before, shape[i]));
    if (after) parts.push_back(b.slice(x, dim, 0, after));
    if (parts.size() > 1) x = b.concat(parts, dim);
  }
  return Value::of_tensor(x);
}

Value pad(PrimitiveCall& c) {
  const Value& mode = c.args[3];
  static const std::vector<std::string> modes = {"constant", "reflect", "replicate", "circular"};
  if (!mode.is(Kind::none) && !(mode.is(Kind::text) && std::count(modes.begin(), modes.end(), mode.text)))
    throw SpecError(c.loc, what(c, 3) + " must be constant, reflect, replicate or circular; it is " + show_value(mode));
  if (!c.args[1].is(Kind::list)) throw SpecError(c.loc, what(c, 1) + " must be a list of [before, after], one per axis");
  std::vector<std::pair<int64_t, int64_t>> widths;
  for (const Value& pair : *c.args[1].list) {
    std::vector<int64_t> two = integers_of(pair, c.loc, "each entry of " + what(c, 1));
    if (two.size() != 2) throw SpecError(c.loc, what(c, 1) + " must be a list of [before, after], one per axis");
    widths.emplace_back(two[0], two[1]);
  }
  double fill = c.args[2].is(Kind::none) ? 0 : number_of(c.args[2], c.loc, what(c, 2));
  Builder& b = c.evaluator.builder();
  ValueId x = tensor_argument(c, 0);
  if (mode.is(Kind::none) || mode.text == "constant") return Value::of_tensor(b.pad(x, widths, fill));
  if (mode.text == "circular") return circular(c, x, widths);
  return Value::of_tensor(b.pad_with_own(x, widths, mode.text == "reflect"));
}

Value concat(PrimitiveCall& c) {
  if (!c.args[0].is(Kind::list) || c.args[0].list->empty()) throw SpecError(c.loc, "concat needs a list of tensors");
  std::vector<ValueId> parts;
  for (const Value& part : *c.args[0].list) parts.push_back(c.evaluator.tensor(part, c.loc));
  return Value::of_tensor(c.evaluator.builder().concat(parts, integer_argument(c, 1)));
}

Value stack(PrimitiveCall& c) {
  if (!c.args[0].is(Kind::list) || c.args[0].list->empty()) throw SpecError(c.loc, "stack needs a list of tensors");
  Builder& b = c.evaluator.builder();
  std::vector<ValueId> parts;
  int64_t dim = 0;
  for (const Value& part : *c.args[0].list) {
    ValueId x = c.evaluator.tensor(part, c.loc);
    Shape shape = b.sample_shape(x);
    auto axes = static_cast<int64_t>(shape.size()) + 1;
    dim = integer_argument(c, 1, 0);
    if (dim < -axes || dim >= axes)
      throw SpecError(c.loc, argument_name(c, 1) + " is outside the result's " + std::to_string(axes) + " axes");
    if (dim < 0) dim += axes;
    shape.insert(shape.begin() + dim, 1);
    parts.push_back(b.reshape(x, std::move(shape)));
  }
  return Value::of_tensor(b.concat(parts, dim));
}

Value cumsum(PrimitiveCall& c) { return Value::of_tensor(c.evaluator.builder().cumsum(tensor_argument(c, 0), integer_argument(c, 1))); }
Value matmul(PrimitiveCall& c) {
  ValueId a = tensor_argument(c, 0), b = tensor_argument(c, 1);
  return Value::of_tensor(c.evaluator.builder().matmul(a, b));
}
Value take(PrimitiveCall& c) {
  ValueId table = tensor_argument(c, 0);
  return Value::of_tensor(c.evaluator.builder().take(table, tensor_argument(c, 1, kNoValue)));
}
Value pick(PrimitiveCall& c) {
  ValueId x = tensor_argument(c, 0);
  return Value::of_tensor(c.evaluator.builder().pick(x, tensor_argument(c, 1), integer_argument(c, 2, -1)));
}

Value arange(PrimitiveCall& c) {
  int64_t n = integer_argument(c, 0);
  if (n < 1) throw SpecError(c.loc, what(c, 0) + " must be at least 1");
  return Value::of_tensor(c.evaluator.builder().iota(n));
}

void flatten_list(const Value& value, size_t depth, Shape& shape, std::vector<double>& out, Loc loc) {
  if (!value.is(Kind::list)) {
    if (depth != shape.size()) throw SpecError(loc, "tensor(...) needs rows of one length");
    out.push_back(number_of(value, loc, "each element of tensor(...)"));
    return;
  }
  auto size = static_cast<int64_t>(value.list->size());
  if (out.empty() && depth == shape.size()) shape.push_back(size);
  if (depth >= shape.size() || shape[depth] != size || size == 0) throw SpecError(loc, "tensor(...) needs rows of one length");
  for (const Value& item : *value.list) flatten_list(item, depth + 1, shape, out, loc);
}

Value tensor_of_list(PrimitiveCall& c) {
  Shape shape;
  std::vector<double> values;
  flatten_list(c.args[0], 0, shape, values, c.loc);
  return Value::of_tensor(c.evaluator.builder().tensor_constant(std::move(values), shape));
}

Value filled(PrimitiveCall& c) {
  return Value::of_tensor(c.evaluator.builder().constant(c.name == "ones" ? 1 : 0, DType::f32, new_shape_argument(c, 0)));
}

Value random(PrimitiveCall& c) {
  Context& context = c.evaluator.context();
  Builder& b = context.builder;
  // One stream per call and scope: masks do not depend on the order of other layers.
  std::string scope = context.graph.scopes[static_cast<size_t>(b.scope())].path;
  if (!context.update.empty()) scope = context.update + ":" + scope;
  int call = context.draws[scope]++;
  auto stream = static_cast<uint32_t>(hash_bytes(scope + "#" + std::to_string(call)));
  Shape shape = new_shape_argument(c, 0);
  return Value::of_tensor(c.name == "uniform" ? b.uniform(shape, stream, flag_argument(c, 1))
                                              : b.normal(shape, stream, flag_argument(c, 1)));
}

}  // namespace

std::string argument_name(const PrimitiveCall& c, size_t i) {
  std::string name = split(find_primitive(c.name)->parameters, ' ')[i];
  if (name.back() == '?') name.pop_back();
  return "'" + name + "' of " + c.name;
}

ValueId tensor_argument(PrimitiveCall& c, size_t i, ValueId like) {
  if (!c.args[i].is(Kind::tensor) && !c.args[i].is_scalar())
    throw SpecError(c.loc, argument_name(c, i) + " must be a tensor; it is " + show_value(c.args[i]));
  return c.evaluator.tensor(c.args[i], c.loc, like);
}

int64_t integer_argument(PrimitiveCall& c, size_t i, int64_t fallback) {
  return c.args[i].is(Kind::none) ? fallback : integer_of(c.args[i], c.loc, argument_name(c, i));
}
int64_t integer_argument(PrimitiveCall& c, size_t i) { return integer_of(c.args[i], c.loc, argument_name(c, i)); }

const std::vector<Primitive>& primitives() {
  static const std::vector<Primitive> table = {
      {"abs", "x", unary, "Absolute value."},
      {"sign", "x", unary, "-1, 0 or 1; not a number stays so."},
      {"exp", "x", unary, "e to the power x."},
      {"expm1", "x", unary, "exp(x) - 1, accurate near 0."},
      {"log", "x", unary, "Natural logarithm."},
      {"log1p", "x", unary, "log(1 + x), accurate near 0."},
      {"sqrt", "x", unary, "Square root."},
      {"rsqrt", "x", unary, "1 / sqrt(x)."},
      {"sin", "x", unary, "Sine."},
      {"cos", "x", unary, "Cosine."},
      {"tanh", "x", unary, "Hyperbolic tangent."},
      {"erf", "x", unary, "Error function."},
      {"sigmoid", "x", unary, "1 / (1 + exp(-x))."},
      {"floor", "x", unary, "The greatest whole number not above x."},
      {"ceil", "x", unary, "The least whole number not below x."},
      {"round", "x", unary, "The nearest whole number, ties to even."},
      {"isnan", "x", unary, "Whether x is not a number."},
      {"max", "x y? dim? keepdim? batch?", extreme, "The greater of x and y, or the greatest along dim."},
      {"min", "x y? dim? keepdim? batch?", extreme, "The smaller of x and y, or the smallest along dim."},
      {"sum", "x dim? keepdim? batch?", sum, "Sum along dim, of the whole sample without dim."},
      {"prod", "x dim? keepdim? batch?", prod, "Product along dim."},
      {"argmax", "x dim? keepdim?", argmax, "Index of the first greatest element along dim, in the whole sample without dim."},
      {"count", "x dim? keepdim? batch?", count, "How many elements such a reduction joins, known at build time."},
      {"len", "list", len, "The number of elements of a list."},
      {"range", "start stop? step?", range, "The integers from start, below stop."},
      {"ints", "v n", ints, "A list of n integers, from one integer or n of them."},
      {"is_list", "v", is_list, "Whether v is a list, known at build time."},
      {"reached", "list k", reached, "How many entries of a rising list are at most k."},
      {"where", "c a b", where, "a where c holds, else b."},
      {"cast", "x type", cast, "x in another element type."},
      {"stop_gradient", "x", stop_gradient, "x, constant for the derivative."},
      {"reshape", "x shape", reshape, "The same elements in another shape; -1 once."},
      {"transpose", "x a? b?", transpose, "Two axes exchanged, the last two by default."},
      {"permute", "x dims", permute, "Axes in another order."},
      {"slice", "x dim start? stop? step?", slice, "A part along one axis."},
      {"pad", "x widths value? mode?", pad,
       "Elements added around: [before, after] per axis. mode: constant (value), reflect, replicate or circular."},
      {"concat", "parts dim", concat, "Tensors one after the other along dim."},
      {"stack", "parts dim?", stack, "Tensors of one shape along a new axis, the first by default."},
      {"cumsum", "x dim", cumsum, "Running sum along dim."},
      {"matmul", "a b", matmul, "Matrix product, batched over leading axes."},
      {"take", "table i", take, "Rows of a table."},
      {"pick", "x i dim?", pick, "One element along dim for each index."},
      {"conv", "x w stride? padding? dilation? groups?", conv,
       "Convolution of [channels, spatial...] with weights [out, channels / groups, kernel...]; padding: an integer, a list, pairs, same "
       "or valid."},
      {"conv_transpose", "x w stride? padding? output_padding? dilation? groups?", conv_transpose,
       "The gradient of conv as an operator; weights [channels, out / groups, kernel...]."},
      {"window_max", "x size stride? padding? dilation?", window,
       "Greatest of each window over the spatial axes of [channels, spatial...]; its stride is 1 unless given."},
      {"window_sum", "x size stride? padding? dilation?", window, "Sum of each window; padding adds 0."},
      {"resample", "image x y mode?", resample,
       "The image [channels, height, width] at places x, y of [rows, columns], in pixels from its first; mode: bilinear or nearest; 0 "
       "outside."},
      {"arange", "n", arange, "0, 1, ..., n - 1."},
      {"tensor", "list", tensor_of_list, "A tensor of the numbers of a list."},
      {"zeros", "shape", filled, "Zeros."},
      {"ones", "shape", filled, "Ones."},
      {"uniform", "shape shared?", random, "Uniform on [0, 1), per sample; shared: one draw a step."},
      {"normal", "shape shared?", random, "Standard normal, per sample; shared: one draw a step."},
  };
  return table;
}

const Primitive* find_primitive(std::string_view name) {
  for (const Primitive& p : primitives())
    if (name == p.name) return &p;
  return nullptr;
}

Value apply_primitive(const Primitive& primitive, Evaluator& evaluator, const std::vector<Given>& given, Loc loc) {
  std::vector<std::string> names = split(primitive.parameters, ' ');
  PrimitiveCall call{evaluator, primitive.name, std::vector<Value>(names.size()), loc};
  std::vector<bool> optional, set(names.size());
  for (std::string& name : names) {
    optional.push_back(name.back() == '?');
    if (name.back() == '?') name.pop_back();
  }
  size_t place = 0;
  for (const Given& g : given) {
    size_t at = place;
    if (g.name.empty()) {
      if (++place > names.size())
        throw SpecError(g.loc, call.name + " takes " + std::to_string(names.size()) +
                                   (names.size() == 1 ? " argument, not " : " arguments, not ") + std::to_string(given.size()));
    } else {
      at = static_cast<size_t>(std::find(names.begin(), names.end(), g.name) - names.begin());
      if (at == names.size())
        throw SpecError(misnamed(g.loc, "unknown argument '" + g.name + "' of " + call.name, nearest(g.name, names),
                                 "; it takes " + join(names, ", ")));
    }
    if (set[at]) throw SpecError(g.loc, "argument '" + names[at] + "' of " + call.name + " is given twice");
    set[at] = true;
    call.args[at] = g.value;
    if (g.value.is(Kind::unknown)) return Value::make_unknown();
  }
  for (size_t i = 0; i < names.size(); ++i)
    if (!set[i] && !optional[i]) throw SpecError(loc, call.name + " needs '" + names[i] + "'");
  evaluator.builder().at(loc);
  return primitive.apply(call);
}

}  // namespace mlc
