// Formulas: Python's expressions as plain text in a spec. Parsing only; values are the business of model/.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/node.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

struct Argument {
  std::string name;   ///< empty: by place
  ExprPtr value;
  Loc loc;            ///< of the name, or of the value
};

/// One node of a formula's tree.
///   number      integer (`integer`) or real; `value` holds both
///   text        a quoted string (`name` holds it)
///   name        a variable, or `none`, `true`, `false`, `inf`, `pi` (resolved later)
///   unary       `name` is "-", "+" or "not"; kids[0]
///   binary      `name` is one of + - * / // % ** == != < <= > >= and or; kids[0], kids[1]
///               (a < b < c parses as (a < b) and (b < c))
///   conditional kids[0] if kids[1] else kids[2]
///   call        `name`(arguments)
///   attribute   kids[0].name, e.g. x.shape, in.features; dotted paths of names too
///   index       kids[0][kids[1]]
///   slice       kids[0][kids[1] : kids[2]], either bound may be null
///   list        [kids...]
struct Expr {
  enum class Kind : uint8_t { number, text, name, unary, binary, conditional, call, attribute, index, slice, list };
  Kind kind = Kind::number;
  Loc loc;                    ///< of the operator, name or literal: what a caret should point at
  Loc whole;                  ///< from the first to the last character
  double value = 0;
  std::optional<int64_t> integer;   ///< number: exact, where written without point or exponent
  std::string name;
  std::vector<ExprPtr> kids;
  std::vector<Argument> arguments;
};

/// Parses the text of a scalar node. Throws SpecError with the place inside the user's text. Nesting is bounded (200).
ExprPtr parse_formula(const Node& node);
/// The same for text at a place (the first character is at `loc`).
ExprPtr parse_formula(std::string_view text, Loc loc);

/// A definition's head, `name(a, b=1)`: names must be identifiers, defaults are formulas.
struct Signature {
  std::string name;
  struct Parameter {
    std::string name;
    ExprPtr fallback;         ///< null: required
    Loc loc;
  };
  std::vector<Parameter> parameters;
  bool overrides = false;     ///< `override f(x)`
  Loc loc;
};
Signature parse_signature(const Node& key);

/// True for a word of letters, digits and _ that starts with no digit.
bool is_identifier(std::string_view text);
/// A name that a spec gives to a value: throws SpecError where it is no identifier, or a word that formulas keep for themselves.
/// `what` begins the message: "'as'", "an input's name".
void check_given_name(const Node& name, const std::string& what);

/// True when the text holds an operator, a call, an index or a list, so that a string setting is meant as a formula.
bool looks_like_formula(std::string_view text);

/// Prints a formula in canonical form (spaces around operators, parentheses only where needed).
std::string print_formula(const Expr& expr);

}  // namespace mlc
