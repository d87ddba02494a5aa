// Python's operators on values.
#include "compiler/base/text.h"
#include "compiler/model/evaluator.h"

#include <cmath>
#include <map>

namespace mlc {
namespace {

using Kind = Value::Kind;
using Host = HostFormula::Op;

struct Operator {
  OpCode code;
  Host host;
  bool swapped = false;     // the graph has < and <= only
};

const Operator& operator_of(const std::string& name) {
  // clang-format off
  static const std::map<std::string, Operator> table = {
      {"+", {OpCode::add, Host::add}},          {"-", {OpCode::sub, Host::sub}},
      {"*", {OpCode::mul, Host::mul}},          {"/", {OpCode::div, Host::div}},
      {"//", {OpCode::floordiv, Host::floordiv}}, {"%", {OpCode::mod, Host::mod}},
      {"**", {OpCode::pow, Host::pow}},         {"==", {OpCode::eq, Host::eq}},
      {"!=", {OpCode::ne, Host::ne}},           {"<", {OpCode::lt, Host::lt}},
      {"<=", {OpCode::le, Host::le}},           {">", {OpCode::lt, Host::gt, true}},
      {">=", {OpCode::le, Host::ge, true}},     {"and", {OpCode::logical_and, Host::and_}},
      {"or", {OpCode::logical_or, Host::or_}},
  };
  // clang-format on
  auto it = table.find(name);
  ensure(it != table.end(), "the operator is known");
  return it->second;
}

bool is_comparison(const std::string& op) { return op == "==" || op == "!=" || op == "<" || op == "<=" || op == ">" || op == ">="; }

// Build-time equality of any two values; numbers by value.
bool same(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.kind != b.kind) return false;
  if (a.is(Kind::text)) return a.text == b.text;
  if (!a.is(Kind::list)) return a.is(Kind::none);
  if (a.list->size() != b.list->size()) return false;
  for (size_t i = 0; i < a.list->size(); ++i)
    if (!same((*a.list)[i], (*b.list)[i])) return false;
  return true;
}

std::optional<int64_t> integer_arithmetic(const std::string& op, int64_t a, int64_t b, Loc loc) {
  int64_t out = 0;
  bool overflow = false;
  if (op == "+") overflow = __builtin_add_overflow(a, b, &out);
  else if (op == "-") overflow = __builtin_sub_overflow(a, b, &out);
  else if (op == "*") overflow = __builtin_mul_overflow(a, b, &out);
  else if (op == "//" || op == "%") {
    if (b == 0) throw SpecError(loc, "division by zero");
    if (b == -1) {
      overflow = op == "//" && __builtin_sub_overflow(int64_t{0}, a, &out);
    } else {
      int64_t quotient = a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
      out = op == "//" ? quotient : a - quotient * b;
    }
  } else if (op == "**" && b >= 0) {
    out = 1;
    // A base of -1, 0 or 1 never overflows: the exponent may be large then.
    if (a >= -1 && a <= 1) return a == 0 ? (b == 0) : a == 1 || b % 2 == 0 ? 1 : -1;
    for (int64_t i = 0; i < b && !overflow; ++i) overflow = __builtin_mul_overflow(out, a, &out);
  } else {
    return std::nullopt;
  }
  if (overflow) throw SpecError(loc, "the integer is too large");
  return out;
}

Value list_operator(const std::string& op, const Value& a, const Value& b, Loc loc) {
  if (op == "+" && a.is(Kind::list) && b.is(Kind::list)) {
    std::vector<Value> items = *a.list;
    items.insert(items.end(), b.list->begin(), b.list->end());
    return Value::of_list(std::move(items));
  }
  if (op == "*" && a.is(Kind::list) != b.is(Kind::list)) {
    const Value& list = a.is(Kind::list) ? a : b;
    int64_t n = integer_of(a.is(Kind::list) ? b : a, loc, "a list's repeat count");
    if (n > 1'000'000 || (n > 0 && list.list->size() > 1'000'000 / static_cast<size_t>(n)))
      throw SpecError(loc, "the list would have more than 1000000 elements");
    std::vector<Value> items;
    for (int64_t i = 0; i < n; ++i) items.insert(items.end(), list.list->begin(), list.list->end());
    return Value::of_list(std::move(items));
  }
  throw SpecError(loc, "'" + op + "' does not go with " + show_value(a) + " and " + show_value(b));
}

}  // namespace

Value Evaluator::arithmetic(const std::string& op, const Value& a, const Value& b, Loc loc) {
  bool whole = !a.is(Kind::real) && !b.is(Kind::real);
  if (whole && !is_comparison(op))
    if (auto value = integer_arithmetic(op, a.whole, b.whole, loc)) return Value::of_integer(*value);
  double x = a.number(), y = b.number();
  if (((op == "/" || op == "//" || op == "%") && y == 0) || (op == "**" && x == 0 && y < 0)) throw SpecError(loc, "division by zero");
  Value result = host_apply(operator_of(op).host, {a, b});
  if (is_comparison(op) || op == "and" || op == "or") return Value::of_flag(result.real != 0);
  if (op == "**" && std::isnan(result.real) && !std::isnan(x)) throw SpecError(loc, "a negative number has no such power");
  return result;
}

Value Evaluator::power(const Value& a, const Value& b, Loc loc) {
  Builder& g = builder();
  if (a.is(Kind::tensor) && b.is_number()) {
    double n = b.number();
    ValueId x = a.tensor;
    if (n == 0.5) return Value::of_tensor(g.unary(OpCode::sqrt, x));
    if (n == 1) return a;
    if (n == 2) return Value::of_tensor(g.binary(OpCode::mul, x, x));
    if (n == 3) return Value::of_tensor(g.binary(OpCode::mul, g.binary(OpCode::mul, x, x), x));
    if (n == -1) return Value::of_tensor(g.binary(OpCode::div, g.constant(1), x));
  }
  ValueId x = a.is_number() ? g.constant(a.number()) : tensor(a, loc);
  ValueId y = b.is_number() ? g.constant(b.number()) : tensor(b, loc);
  return Value::of_tensor(g.binary(OpCode::pow, x, y));
}

Value Evaluator::unary(const std::string& op, const Value& a, Loc loc) {
  if (a.is(Kind::unknown)) return a;
  builder().at(loc);
  if (op == "not") {
    if (a.is(Kind::host)) return host_apply(Host::not_, {a});
    if (!a.is(Kind::tensor)) return Value::of_flag(!truth_of(a, loc, "the operand of 'not'"));
    ValueId x = a.tensor;
    if (context_.graph.type(x).dtype != DType::boolean) x = builder().binary(OpCode::ne, x, tensor(Value::of_integer(0), loc, x));
    return Value::of_tensor(builder().unary(OpCode::logical_not, x));
  }
  if (!a.is_scalar() && !a.is(Kind::tensor)) throw SpecError(loc, "'" + op + "' does not go with " + show_value(a));
  if (op == "+") return a;
  if (a.is(Kind::tensor)) return Value::of_tensor(builder().unary(OpCode::neg, a.tensor));
  if (a.is(Kind::host) || a.is(Kind::real)) return host_apply(Host::neg, {a});
  return arithmetic("-", Value::of_integer(0), a, loc);
}

Value Evaluator::binary(const std::string& op, const Value& a, const Value& b, Loc loc) {
  if (a.is(Kind::unknown) || b.is(Kind::unknown)) return Value::make_unknown();
  builder().at(loc);
  bool scalars = a.is_scalar() && b.is_scalar();
  if (a.is(Kind::tensor) || b.is(Kind::tensor)) {
    if (op == "==" || op == "!=")
      if (a.is(Kind::none) || b.is(Kind::none)) return Value::of_flag(op == "!=");
    const Value& other = a.is(Kind::tensor) ? b : a;
    if (!other.is(Kind::tensor) && !other.is_scalar())
      throw SpecError(loc, "'" + op + "' does not go with " + show_value(a) + " and " + show_value(b));
    if (op == "**") return power(a, b, loc);
    const Operator& o = operator_of(op);
    ValueId x = tensor(a, loc, b.is(Kind::tensor) ? b.tensor : kNoValue), y = tensor(b, loc, x);
    if (op == "and" || op == "or") {
      for (ValueId* v : {&x, &y})
        if (context_.graph.type(*v).dtype != DType::boolean) *v = builder().binary(OpCode::ne, *v, tensor(Value::of_integer(0), loc, *v));
    }
    return Value::of_tensor(o.swapped ? builder().binary(o.code, y, x) : builder().binary(o.code, x, y));
  }
  if (scalars && (a.is(Kind::host) || b.is(Kind::host))) return host_apply(operator_of(op).host, {a, b});
  if (scalars) return arithmetic(op, a, b, loc);
  if (op == "==") return Value::of_flag(same(a, b));
  if (op == "!=") return Value::of_flag(!same(a, b));
  if (op == "+" && a.is(Kind::text) && b.is(Kind::text)) return Value::of_text(a.text + b.text);
  return list_operator(op, a, b, loc);
}

}  // namespace mlc
