// Evaluates formulas: at build time where all is known, else by adding ops to a graph.
#pragma once
#include "compiler/model/context.h"
#include "compiler/model/env.h"
#include "compiler/spec/formula.h"

#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// An argument as given by a call or an item; the name is empty when it goes by place.
struct Given {
  std::string name;
  Value value;
  Loc loc;
};

class Evaluator {
public:
  explicit Evaluator(Context& context) : context_(context) {}
  Context& context() { return context_; }
  Builder& builder() { return context_.builder; }

  Value eval(const Expr& expr, Env& env);
  Value eval(const ExprPtr& expr, Env& env) { return eval(*expr, env); }
  /// The value of a name, lazily bound formulas evaluated; null when nothing has this name.
  const Value* lookup(const std::string& name, Env& env, Loc loc);

  /// The result of a function. The user's definitions see `vars` beside their own names, the shipped ones do not.
  Value call(const Definition& definition, const std::vector<Given>& given, Loc loc);
  /// Binds arguments (inputs first for functions), defaults included, into `out`. Faults stand at the arguments or `loc`.
  void bind(const Definition& definition, const std::vector<Given>& given, Env& out, Loc loc);
  /// Checks `require` of a definition whose names are in `env`.
  void require(const Definition& definition, Env& env, Loc loc);

  /// Operators and conversions on values; faults at `loc`.
  Value unary(const std::string& op, const Value& a, Loc loc);
  Value binary(const std::string& op, const Value& a, const Value& b, Loc loc);
  Value select(const Value& c, const Value& a, const Value& b, Loc loc);
  /// A value of the graph for a tensor, number or host number; numbers take the kind of `like`.
  ValueId tensor(const Value& value, Loc loc, ValueId like = kNoValue);
  /// Sums a cotangent over the axes that were broadcast from `operand`'s shape.
  ValueId sum_to(ValueId cotangent, ValueId operand);

  /// Where a fault at `loc` is reported: inside a shipped definition, at the user's item.
  Loc place(Loc loc) const { return std_place_ ? *std_place_ : loc; }
  bool in_std() const { return std_place_.has_value(); }
  bool in_definition() const { return !active_.empty(); }
  /// Warns where the op that made `input` should not stand before `definition` (its `lints`).
  void lint(const Definition& definition, ValueId input, Loc loc);
  /// Warns where a `when` of its lints holds; the definition's names are in `env`.
  void lint(const Definition& definition, Env& env, Loc loc);

  /// Runs `body` as the inside of `definition`: faults of the shipped ones are reported at `loc` with a note that names
  /// the formula, faults of the user's own get a note with the place of the call.
  template <class F> auto inside(const Definition& definition, Loc loc, F body) -> decltype(body());

  /// Runs `body`, which reads what the user wrote at an item of a shipped definition: faults keep their own place.
  template <class F> auto of_user(F body) -> decltype(body());

private:
  Loc argument_at_fault(const Requirement& requirement, Env& env, Loc loc);
  Loc place(const Expr& expr);
  Value name(const Expr& expr, Env& env);
  Value attribute(const Expr& expr, Env& env);
  std::optional<Value> data_attribute(const std::string& name, Loc loc);
  const Value* within(const std::string& path, Env& env, Loc loc);
  Value class_attribute(const Value& value, const std::string& name, Loc loc);
  Value tensor_attribute(const Value& value, const std::string& name, Loc loc);
  Value call_expr(const Expr& expr, Env& env);
  Value index(const Expr& expr, Env& env);
  Value slice(const Expr& expr, Env& env);
  Value conditional(const Expr& expr, Env& env);
  Value logical(const Expr& expr, Env& env);
  Value arithmetic(const std::string& op, const Value& a, const Value& b, Loc loc);
  Value power(const Value& a, const Value& b, Loc loc);
  void stated_gradient(const Definition& definition, std::shared_ptr<Env> names, const std::vector<std::string>& inputs, Value& result,
                       Loc loc);
  void note_use(const Definition& definition, Env& arguments, Loc loc);
  void match_target(const Definition& definition, Env& names, Loc loc);
  [[noreturn]] void rethrow(const Definition& definition, SpecError error, Loc loc, std::optional<Loc> outer);

  Context& context_;
  std::optional<Loc> std_place_;      // set while a shipped definition is evaluated: the user's item
  Loc std_loc_;                       // the place in the shipped file that was evaluated last
  std::vector<const Definition*> active_;
};

template <class F> auto Evaluator::of_user(F body) -> decltype(body()) {
  struct Restore {
    Evaluator& evaluator;
    std::optional<Loc> place;
    ~Restore() { evaluator.std_place_ = place; }
  } restore{*this, std_place_};
  std_place_.reset();
  std_loc_ = {};
  return body();
}

template <class F> auto Evaluator::inside(const Definition& definition, Loc loc, F body) -> decltype(body()) {
  std::optional<Loc> outer = std_place_;
  for (const Definition* d : active_)
    if (d == &definition) throw SpecError(outer ? *outer : loc, "'" + definition.name() + "' uses itself; recursion does not exist");
  Loc former = builder().at();
  if (!outer) builder().at(loc);
  if (definition.is_std && !outer) std_place_ = loc, std_loc_ = {};
  active_.push_back(&definition);
  struct Restore {
    Evaluator& evaluator;
    std::optional<Loc> outer;
    Loc former;
    ~Restore() {
      evaluator.std_place_ = outer;
      evaluator.active_.pop_back();
      evaluator.builder().at(former);
    }
  } restore{*this, outer, former};
  try {
    return body();
  } catch (const SpecError& error) {
    rethrow(definition, error, loc, outer);
  }
}

}  // namespace mlc
