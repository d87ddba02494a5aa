// What a formula evaluates to while a graph is built.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/base/host_formula.h"
#include "compiler/base/host_variables.h"
#include "compiler/graph/ir.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mlc {

/// none, flag, integer, real, text and list are known at build time; `host` is a number that the host computes in f64
/// for each step; `tensor` is a value of the graph. `unknown` stands for the result of a faulty item: whatever meets it
/// is unknown too and says nothing.
struct Value {
  enum class Kind : uint8_t { none, flag, integer, real, text, list, host, tensor, unknown };
  Kind kind = Kind::none;
  int64_t whole = 0;                               ///< flag, integer
  double real = 0;                                 ///< real
  std::string text;                                ///< text
  std::shared_ptr<const std::vector<Value>> list;
  std::shared_ptr<const std::vector<std::string>> names;   ///< of a list's elements, for the outputs of a network or block
  std::shared_ptr<const std::map<std::string, Value>> within;   ///< names in the network that gave this, which attributes reach
  std::shared_ptr<const HostFormula> host;
  ValueId tensor = kNoValue;

  static Value of_flag(bool value);
  static Value of_integer(int64_t value);
  static Value of_real(double value);
  static Value of_text(std::string value);
  static Value of_list(std::vector<Value> items);
  static Value of_shape(const Shape& shape);
  static Value of_host(HostFormula formula);       ///< a formula without variables becomes a real
  static Value of_variable(int index);             ///< a host variable
  static Value of_tensor(ValueId id);
  static Value make_unknown();

  bool is(Kind k) const { return kind == k; }
  /// A number at build time (flags count as 0 and 1).
  bool is_number() const { return kind == Kind::integer || kind == Kind::real || kind == Kind::flag; }
  bool is_scalar() const { return is_number() || kind == Kind::host; }
  double number() const;                           ///< requires is_number()
  HostFormula host_formula() const;                ///< requires is_scalar()
};

/// "2.5", "[1, 2]", "same", "a tensor": for messages.
std::string show_value(const Value& value);

/// Build-time readings; faults are reported at `loc` as "`what` must be ...". A real that is whole counts as an integer.
bool truth_of(const Value& value, Loc loc, const std::string& what);
/// A whole number that a double tells from its neighbours.
bool is_whole(double value);
int64_t integer_of(const Value& value, Loc loc, const std::string& what);
double number_of(const Value& value, Loc loc, const std::string& what);
std::string text_of(const Value& value, Loc loc, const std::string& what);
std::vector<int64_t> integers_of(const Value& value, Loc loc, const std::string& what);

/// op(operands...) as one host formula; the operands are scalars.
Value host_apply(HostFormula::Op op, const std::vector<Value>& operands);

}  // namespace mlc
