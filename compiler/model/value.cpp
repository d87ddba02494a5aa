#include "compiler/model/value.h"

#include "compiler/base/text.h"

#include <cmath>

namespace mlc {

Value Value::of_flag(bool value) { return {.kind = Kind::flag, .whole = value}; }
Value Value::of_integer(int64_t value) { return {.kind = Kind::integer, .whole = value}; }
Value Value::of_real(double value) { return {.kind = Kind::real, .real = value}; }
Value Value::of_text(std::string value) { return {.kind = Kind::text, .text = std::move(value)}; }

Value Value::of_list(std::vector<Value> items) {
  return {.kind = Kind::list, .list = std::make_shared<const std::vector<Value>>(std::move(items))};
}

Value Value::of_shape(const Shape& shape) {
  std::vector<Value> items;
  for (int64_t extent : shape) items.push_back(of_integer(extent));
  return of_list(std::move(items));
}

Value Value::of_host(HostFormula formula) {
  bool constant = true;
  for (const HostFormula::Step& step : formula.steps) constant &= step.op != HostFormula::Op::variable;
  if (constant) return of_real(formula.evaluate(nullptr));
  return {.kind = Kind::host, .host = std::make_shared<const HostFormula>(std::move(formula))};
}

Value Value::of_variable(int index) { return of_host({.steps = {{.op = HostFormula::Op::variable, .index = index}}}); }

Value Value::of_tensor(ValueId id) { return {.kind = Kind::tensor, .tensor = id}; }
Value Value::make_unknown() { return {.kind = Kind::unknown}; }

double Value::number() const {
  ensure(is_number(), "the value is a number");
  return kind == Kind::real ? real : static_cast<double>(whole);
}

HostFormula Value::host_formula() const {
  if (kind == Kind::host) return *host;
  return {.steps = {{.op = HostFormula::Op::number, .value = number()}}};
}

std::string show_value(const Value& value) {
  constexpr size_t kMost = 40;   // characters of a text, elements of a list
  switch (value.kind) {
  case Value::Kind::none: return "none";
  case Value::Kind::flag: return value.whole ? "true" : "false";
  case Value::Kind::integer: return std::to_string(value.whole);
  case Value::Kind::real: return format_number(value.real);
  case Value::Kind::text: return "'" + (value.text.size() > kMost ? utf8_slice(value.text, 0, kMost) + "..." : value.text) + "'";
  case Value::Kind::list: {
    std::vector<std::string> parts;
    for (size_t i = 0; i < std::min(kMost, value.list->size()); ++i) parts.push_back(show_value((*value.list)[i]));
    return "[" + join(parts, ", ") + (value.list->size() > kMost ? ", ...]" : "]");
  }
  case Value::Kind::host: return "a number of the run";
  case Value::Kind::tensor: return "a tensor";
  case Value::Kind::unknown: return "unknown";
  }
  throw InternalError("unknown kind of value");
}

bool truth_of(const Value& value, Loc loc, const std::string& what) {
  if (value.is_number()) return value.number() != 0;
  if (value.is(Value::Kind::none)) return false;
  throw SpecError(loc, what + " must be known at build time, true or false; it is " + show_value(value));
}

bool is_whole(double value) { return std::trunc(value) == value && std::fabs(value) < 0x1p53; }

int64_t integer_of(const Value& value, Loc loc, const std::string& what) {
  if (value.is(Value::Kind::integer)) return value.whole;
  if (value.is(Value::Kind::real) && is_whole(value.real)) return static_cast<int64_t>(value.real);
  throw SpecError(loc, what + " must be an integer; it is " + show_value(value));
}

double number_of(const Value& value, Loc loc, const std::string& what) {
  if (value.is(Value::Kind::integer) || value.is(Value::Kind::real)) return value.number();
  throw SpecError(loc, what + " must be a number known at build time; it is " + show_value(value));
}

std::string text_of(const Value& value, Loc loc, const std::string& what) {
  if (value.is(Value::Kind::text)) return value.text;
  throw SpecError(loc, what + " must be text; it is " + show_value(value));
}

std::vector<int64_t> integers_of(const Value& value, Loc loc, const std::string& what) {
  if (!value.is(Value::Kind::list)) throw SpecError(loc, what + " must be a list of integers; it is " + show_value(value));
  std::vector<int64_t> out;
  for (const Value& item : *value.list) out.push_back(integer_of(item, loc, "each entry of " + what));
  return out;
}

Value host_apply(HostFormula::Op op, const std::vector<Value>& operands) {
  HostFormula formula;
  for (const Value& operand : operands) {
    HostFormula part = operand.host_formula();
    formula.steps.insert(formula.steps.end(), part.steps.begin(), part.steps.end());
  }
  formula.steps.push_back({.op = op});
  return Value::of_host(std::move(formula));
}

}  // namespace mlc
