#include "compiler/base/text.h"
#include "compiler/spec/formula.h"

namespace mlc {
namespace {

int precedence(const Expr& e) {
  if (e.kind == Expr::Kind::conditional) return 0;
  if (e.kind == Expr::Kind::unary) return e.name == "not" ? 3 : 7;
  if (e.kind != Expr::Kind::binary) return 9;
  if (e.name == "or") return 1;
  if (e.name == "and") return 2;
  if (e.name == "+" || e.name == "-") return 5;
  if (e.name == "**") return 8;
  return e.name == "*" || e.name == "/" || e.name == "//" || e.name == "%" ? 6 : 4;
}

std::string wrapped(const Expr& e, int at_least) {
  std::string text = print_formula(e);
  return precedence(e) < at_least ? "(" + text + ")" : text;
}

}  // namespace

std::string print_formula(const Expr& e) {
  auto list = [](const std::vector<ExprPtr>& kids) {
    std::vector<std::string> parts;
    for (const ExprPtr& k : kids) parts.push_back(print_formula(*k));
    return join(parts, ", ");
  };
  switch (e.kind) {
  case Expr::Kind::number:
  case Expr::Kind::name: return e.name;
  case Expr::Kind::text: return (e.name.find('"') == std::string::npos ? "\"" + e.name + "\"" : "'" + e.name + "'");
  case Expr::Kind::unary: return e.name == "not" ? "not " + wrapped(*e.kids[0], 3) : e.name + wrapped(*e.kids[0], 7);
  case Expr::Kind::binary: {
    int own = precedence(e);
    bool right = e.name == "**";
    return wrapped(*e.kids[0], right ? own + 1 : own) + " " + e.name + " " + wrapped(*e.kids[1], right ? 7 : own + 1);
  }
  case Expr::Kind::conditional: return wrapped(*e.kids[0], 1) + " if " + wrapped(*e.kids[1], 1) + " else " + print_formula(*e.kids[2]);
  case Expr::Kind::call: {
    std::vector<std::string> parts;
    for (const Argument& a : e.arguments) parts.push_back((a.name.empty() ? "" : a.name + "=") + print_formula(*a.value));
    return e.name + "(" + join(parts, ", ") + ")";
  }
  case Expr::Kind::attribute: {
    // A number would take the dot for its own.
    std::string of = wrapped(*e.kids[0], 9);
    return (e.kids[0]->kind == Expr::Kind::number ? "(" + of + ")" : of) + "." + e.name;
  }
  case Expr::Kind::index: return wrapped(*e.kids[0], 9) + "[" + print_formula(*e.kids[1]) + "]";
  case Expr::Kind::slice:
    return wrapped(*e.kids[0], 9) + "[" + (e.kids[1] ? print_formula(*e.kids[1]) : "") + ":" +
           (e.kids[2] ? print_formula(*e.kids[2]) : "") + "]";
  case Expr::Kind::list: return "[" + list(e.kids) + "]";
  }
  return "";
}

}  // namespace mlc
