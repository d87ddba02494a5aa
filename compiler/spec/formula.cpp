#include "compiler/spec/formula.h"

#include "compiler/base/text.h"
#include "compiler/spec/names.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace mlc {
namespace {

constexpr int kMostNesting = 200;
constexpr size_t kMostCharacters = 100'000;

struct Token {
  enum class Kind : uint8_t { number, text, name, symbol, end } kind = Kind::end;
  std::string text;
  size_t begin = 0, end = 0;   // characters
};

bool name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool name_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
public:
  /// `moves`: the text stands on one line, character by character; else as `runs` say; without them every place is the whole `loc`.
  Parser(std::string_view text, Loc loc, bool moves, const std::vector<TextRun>* runs = nullptr)
      : text_(text), loc_(loc), moves_(moves), runs_(runs) {
    advance();
  }

  ExprPtr run() {
    if (text_.size() > kMostCharacters)
      throw SpecError(place(0, 1), "a formula has at most 100,000 characters; name its parts under 'let' or 'functions'");
    if (token_.kind == Token::Kind::end) fail("a formula is expected here");
    ExprPtr e = expression();
    if (token_.kind != Token::Kind::end) unexpected();
    return e;
  }

  Signature signature() {
    Signature s;
    if (token_.kind != Token::Kind::name) fail("a name is expected, as in 'f(x, a=1)'");
    if (token_.text == "override" && peek() != '(') {
      s.overrides = true;
      advance();
      if (token_.kind != Token::Kind::name) fail("a name is expected behind 'override'");
    }
    s.name = token_.text;
    s.loc = place(token_.begin, token_.end);
    advance();
    if (token_.kind == Token::Kind::end) return s;
    take("(", "'(' is expected behind the name");
    while (!is(")")) {
      Signature::Parameter p;
      if (token_.kind != Token::Kind::name) fail("the name of a parameter is expected");
      p.name = token_.text;
      p.loc = place(token_.begin, token_.end);
      for (const auto& other : s.parameters)
        if (other.name == p.name) throw SpecError(p.loc, "parameter '" + p.name + "' stands twice", {{other.loc, "first here"}});
      advance();
      if (is("=")) {
        advance();
        p.fallback = expression();
      }
      s.parameters.push_back(std::move(p));
      if (!is(",")) break;
      advance();
    }
    take(")", "')' is expected at the end of the parameters");
    if (token_.kind != Token::Kind::end) fail("unexpected '" + token_.text + "' behind the parameters");
    return s;
  }

private:
  // --- tokens ---
  char peek() const {
    size_t i = at_;
    while (i < text_.size() && std::isspace(static_cast<unsigned char>(text_[i]))) ++i;
    return i < text_.size() ? text_[i] : '\0';
  }

  void advance() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    size_t begin = at_;
    last_end_ = token_.end;
    auto make = [&](Token::Kind kind, std::string text) {
      size_t from = utf8_length(text_.substr(0, begin));
      token_ = {kind, std::move(text), from, from + std::max<size_t>(1, utf8_length(text_.substr(begin, at_ - begin)))};
    };
    if (at_ >= text_.size()) return make(Token::Kind::end, "");
    char c = text_[at_];
    if (digit(c) || (c == '.' && at_ + 1 < text_.size() && digit(text_[at_ + 1]))) {
      bool hex = c == '0' && at_ + 1 < text_.size() && (text_[at_ + 1] == 'x' || text_[at_ + 1] == 'o');
      auto exponent = [&](char sign) { return !hex && (sign == '+' || sign == '-') && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E'); };
      while (at_ < text_.size() && (name_part(text_[at_]) || text_[at_] == '.' || (at_ > begin && exponent(text_[at_])))) ++at_;
      return make(Token::Kind::number, std::string(text_.substr(begin, at_ - begin)));
    }
    if (name_start(c)) {
      while (at_ < text_.size() && name_part(text_[at_])) ++at_;
      return make(Token::Kind::name, std::string(text_.substr(begin, at_ - begin)));
    }
    if (c == '"' || c == '\'') {
      size_t close = text_.find(c, at_ + 1);
      if (close == std::string_view::npos) {
        at_ = text_.size();
        make(Token::Kind::text, "");
        fail("a closing quote is missing");
      }
      at_ = close + 1;
      return make(Token::Kind::text, std::string(text_.substr(begin + 1, close - begin - 1)));
    }
    for (const char* symbol : {"**", "//", "==", "!=", "<=", ">=", "->"})
      if (text_.substr(at_, 2) == symbol) {
        at_ += 2;
        return make(Token::Kind::symbol, symbol);
      }
    at_ += static_cast<unsigned char>(c) < 0x80 ? 1
                                                : std::min<size_t>(text_.size() - at_, static_cast<unsigned char>(c) < 0xE0   ? 2
                                                                                       : static_cast<unsigned char>(c) < 0xF0 ? 3
                                                                                                                              : 4);
    make(Token::Kind::symbol, std::string(text_.substr(begin, at_ - begin)));
  }

  bool is(std::string_view symbol) const { return token_.kind == Token::Kind::symbol && token_.text == symbol; }
  bool word(std::string_view name) const { return token_.kind == Token::Kind::name && token_.text == name; }
  void take(std::string_view symbol, const char* expected) {
    if (!is(symbol)) fail(expected);
    advance();
  }

  Loc place(size_t begin, size_t end) const {
    if (runs_) {
      auto run = std::find_if(runs_->rbegin(), runs_->rend(), [&](const TextRun& r) { return r.at <= begin; });
      if (run == runs_->rend()) return loc_;
      // What ends behind its line is marked to the end of the line.
      auto offset = std::min(static_cast<uint32_t>(begin) - run->at, run->loc.len);
      uint32_t rest = run->loc.len - offset, length = static_cast<uint32_t>(end - std::min(begin, end));
      return {run->loc.file, run->loc.line, run->loc.col + offset, std::max(1u, std::min(rest, length))};
    }
    if (!moves_) return loc_;
    return {loc_.file, loc_.line, loc_.col + static_cast<uint32_t>(begin), static_cast<uint32_t>(std::max<size_t>(1, end - begin))};
  }
  [[noreturn]] void fail(const std::string& what) const {
    if (token_.kind == Token::Kind::end)
      throw SpecError(place(last_end_ ? last_end_ : 0, last_end_ + 1), what + (last_end_ ? "; the formula ends too early" : ""));
    throw SpecError(place(token_.begin, token_.end), what);
  }

  /// What stands before "(" is no function's name: most often a method or a function of a module, as Python has them.
  [[noreturn]] void not_called(const Expr& callee) const {
    if (callee.kind != Expr::Kind::attribute) fail("only a function's name can be called");
    static const std::vector<std::string> modules = {"torch", "nn", "F", "functional", "np", "numpy", "math", "tf", "keras", "jnp", "jax"};
    const Expr& owner = *callee.kids[0];
    bool module = std::find(modules.begin(), modules.end(), owner.name) != modules.end();
    std::string value = owner.kind == Expr::Kind::name ? owner.name : "x";
    throw SpecError(callee.loc, module ? "a function is called by its name alone: " + callee.name + "(...)"
                                       : "values have no methods; a function takes them: " + callee.name + "(" + value + ", ...)");
  }

  // Operators of other languages have their own words.
  void no_foreign_operator() const {
    if (is("@")) fail("'@' is not an operator; matmul(a, b) multiplies matrices");
    if (is("=")) fail("'=' is not an operator; did you mean '=='?");
    if (is("^")) fail("'^' is not an operator; a power is written '**'");
    if (is("&") || is("|") || is("!")) fail("logic is written with 'and', 'or' and 'not'");
  }
  [[noreturn]] void unexpected() const {
    no_foreign_operator();
    fail("unexpected '" + token_.text + "' in a formula");
  }

  struct Deeper {
    explicit Deeper(Parser& p) : parser(p) {
      if (++p.depth_ > kMostNesting) p.fail("a formula is nested at most 200 deep");
    }
    ~Deeper() { --parser.depth_; }
    Parser& parser;
  };

  // --- tree ---
  std::shared_ptr<Expr> make(Expr::Kind kind, size_t begin, size_t end, std::string name = "", std::vector<ExprPtr> kids = {}) const {
    auto e = std::make_shared<Expr>();
    e->kind = kind;
    e->loc = place(begin, end);
    e->whole = e->loc;
    e->name = std::move(name);
    e->kids = std::move(kids);
    return e;
  }
  void span(const std::shared_ptr<Expr>& e, size_t begin) const { e->whole = place(begin, last_end_); }

  ExprPtr expression() {
    Deeper deeper(*this);
    size_t begin = token_.begin;
    ExprPtr value = disjunction();
    if (!word("if")) return value;
    size_t at = token_.begin, end = token_.end;
    advance();
    ExprPtr condition = disjunction();
    if (!word("else")) no_foreign_operator(), fail("'else' is expected: a if condition else b");
    advance();
    ExprPtr other = expression();
    auto e = make(Expr::Kind::conditional, at, end, "", {value, condition, other});
    span(e, begin);
    return e;
  }

  ExprPtr binary(size_t begin, size_t at, size_t end, std::string op, ExprPtr a, ExprPtr b) {
    auto e = make(Expr::Kind::binary, at, end, std::move(op), {std::move(a), std::move(b)});
    span(e, begin);
    return e;
  }

  ExprPtr disjunction() {
    size_t begin = token_.begin;
    ExprPtr left = conjunction();
    while (word("or")) {
      Token op = token_;
      advance();
      left = binary(begin, op.begin, op.end, "or", left, conjunction());
    }
    return left;
  }

  ExprPtr conjunction() {
    size_t begin = token_.begin;
    ExprPtr left = negation();
    while (word("and")) {
      Token op = token_;
      advance();
      left = binary(begin, op.begin, op.end, "and", left, negation());
    }
    return left;
  }

  ExprPtr negation() {
    if (!word("not")) return comparison();
    Deeper deeper(*this);
    Token op = token_;
    advance();
    auto e = make(Expr::Kind::unary, op.begin, op.end, "not", {negation()});
    span(e, op.begin);
    return e;
  }

  static bool compares(const Token& t) {
    static constexpr std::array kOps = {"==", "!=", "<", "<=", ">", ">="};
    return t.kind == Token::Kind::symbol && std::find(kOps.begin(), kOps.end(), t.text) != kOps.end();
  }

  ExprPtr comparison() {
    size_t begin = token_.begin;
    ExprPtr left = sum(), chain;
    while (compares(token_)) {
      Token op = token_;
      advance();
      ExprPtr right = sum();
      ExprPtr one = binary(begin, op.begin, op.end, op.text, left, right);
      chain = chain ? binary(begin, op.begin, op.end, "and", chain, one) : one;
      left = right;
    }
    return chain ? chain : left;
  }

  ExprPtr sum() {
    size_t begin = token_.begin;
    ExprPtr left = product();
    while (is("+") || is("-")) {
      Token op = token_;
      advance();
      left = binary(begin, op.begin, op.end, op.text, left, product());
    }
    return left;
  }

  ExprPtr product() {
    size_t begin = token_.begin;
    ExprPtr left = sign();
    while (is("*") || is("/") || is("//") || is("%")) {
      Token op = token_;
      advance();
      left = binary(begin, op.begin, op.end, op.text, left, sign());
    }
    return left;
  }

  ExprPtr sign() {
    if (!is("-") && !is("+")) return power();
    Deeper deeper(*this);
    Token op = token_;
    advance();
    auto e = make(Expr::Kind::unary, op.begin, op.end, op.text, {sign()});
    span(e, op.begin);
    return e;
  }

  ExprPtr power() {
    size_t begin = token_.begin;
    ExprPtr base = postfix();
    if (!is("**")) return base;
    Deeper deeper(*this);
    Token op = token_;
    advance();
    return binary(begin, op.begin, op.end, "**", base, sign());   // right-associative, binds tighter than a sign on its left
  }

  ExprPtr postfix() {
    size_t begin = token_.begin;
    ExprPtr e = primary();
    for (;;) {
      if (is(".")) {
        advance();
        if (token_.kind != Token::Kind::name) fail("a name is expected behind '.'");
        auto a = make(Expr::Kind::attribute, token_.begin, token_.end, token_.text, {e});
        advance();
        span(a, begin);
        e = a;
      } else if (is("[")) {
        e = subscript(begin, e);
      } else if (is("(")) {
        not_called(*e);
      } else {
        return e;
      }
    }
  }

  ExprPtr subscript(size_t begin, const ExprPtr& base) {
    Token open = token_;
    advance();
    ExprPtr first, last;
    bool slice = false;
    if (!is(":")) first = expression();
    if (is(":")) {
      slice = true;
      advance();
      if (!is("]")) last = expression();
    }
    if (!is("]")) fail("']' is expected");
    size_t end = token_.end;
    advance();
    auto e = make(slice ? Expr::Kind::slice : Expr::Kind::index, open.begin, end);
    e->kids = slice ? std::vector<ExprPtr>{base, first, last} : std::vector<ExprPtr>{base, first};
    span(e, begin);
    return e;
  }

  ExprPtr primary() {
    Token t = token_;
    switch (t.kind) {
    case Token::Kind::number: return number();
    case Token::Kind::text: advance(); return make(Expr::Kind::text, t.begin, t.end, t.text);
    case Token::Kind::name:
      for (const char* reserved : {"if", "else", "and", "or", "not"})
        if (t.text == reserved) fail("unexpected '" + t.text + "' in a formula");
      if (t.text == "lambda") fail("formulas have no lambda; define a function under 'functions:'");
      advance();
      if (is("(")) return call(t);
      return make(Expr::Kind::name, t.begin, t.end, t.text);
    case Token::Kind::symbol:
      if (is("(")) {
        advance();
        ExprPtr e = expression();
        if (is(",")) fail("a list is written with brackets: [a, b]");
        take(")", "')' is expected");
        return e;
      }
      if (is("[")) return list();
      unexpected();
    case Token::Kind::end: fail("a value is expected");
    }
    fail("a value is expected");
  }

  ExprPtr number() {
    Token t = token_;
    bool whole = t.text.find_first_of(".eE") == std::string::npos;
    std::optional<double> value = parse_real(t.text);
    std::optional<int64_t> integer = whole ? parse_integer(t.text) : std::nullopt;
    if (whole && !integer && t.text.find_first_not_of("0123456789") == std::string::npos) fail("the integer is too large");
    if (!value || (whole && !integer)) fail("'" + t.text + "' is not a number");
    advance();
    auto e = make(Expr::Kind::number, t.begin, t.end, t.text);
    e->value = *value;
    e->integer = integer;
    return e;
  }

  ExprPtr list() {
    Token open = token_;
    advance();
    std::vector<ExprPtr> items;
    while (!is("]")) {
      items.push_back(expression());
      if (!is(",")) break;
      advance();
    }
    if (!is("]")) fail("']' is expected at the end of the list");
    size_t end = token_.end;
    advance();
    return make(Expr::Kind::list, open.begin, end, "", std::move(items));
  }

  ExprPtr call(const Token& name) {
    advance();
    auto e = make(Expr::Kind::call, name.begin, name.end, name.text);
    bool named = false;
    while (!is(")")) {
      Argument a;
      Token first = token_;
      a.loc = place(first.begin, first.end);
      if (token_.kind == Token::Kind::name && peek() == '=' &&
          text_.substr(at_ + std::min(text_.size() - at_, text_.substr(at_).find('=')), 2) != "==") {
        a.name = token_.text;
        for (const Argument& other : e->arguments)
          if (other.name == a.name) fail("argument '" + a.name + "' is given twice");
        advance();
        advance();
        named = true;
      } else if (named) {
        fail("an argument by place stands behind one by name");
      }
      a.value = expression();
      e->arguments.push_back(std::move(a));
      if (!is(",")) break;
      advance();
    }
    take(")", "')' is expected at the end of the arguments");
    span(e, name.begin);
    return e;
  }

  std::string_view text_;
  Loc loc_;
  bool moves_;
  const std::vector<TextRun>* runs_;
  size_t at_ = 0, last_end_ = 0;
  Token token_;
  int depth_ = 0;
};

Parser parser_of(const Node& node) {
  // Where the scalar stands on one line as it is (a quote may open it), characters keep their places.
  size_t length = utf8_length(node.text);
  if (node.loc.len == length) return Parser(node.text, node.loc, true);
  if (node.quoted && node.loc.len == length + 2) {
    Loc inside = node.loc;
    ++inside.col;
    return Parser(node.text, inside, true);
  }
  return Parser(node.text, node.loc, false, node.runs.get());
}

}  // namespace

ExprPtr parse_formula(const Node& node) {
  // Inside {} and [] YAML ends plain text at a comma: what is left has a bracket open.
  auto count = [&](char c) { return std::count(node.text.begin(), node.text.end(), c); };
  bool cut = node.is(Node::Kind::text) && !node.quoted && (open_parentheses(node.text) > 0 || count('[') > count(']'));
  try {
    return parser_of(node).run();
  } catch (SpecError& error) {
    if (cut) error.diagnostic.text += "; inside {} and [] a formula with a comma, a bracket or a brace must be quoted";
    throw;
  }
}
ExprPtr parse_formula(std::string_view text, Loc loc) { return Parser(text, loc, true).run(); }
Signature parse_signature(const Node& key) { return parser_of(key).signature(); }

bool is_identifier(std::string_view text) {
  return !text.empty() && name_start(text[0]) && std::all_of(text.begin(), text.end(), name_part);
}

void check_given_name(const Node& name, const std::string& what) {
  static constexpr std::string_view kReserved[] = {"and",   "or",   "not", "if", "else",  "in",  "true",
                                                   "false", "none", "inf", "pi", "train", "data"};
  if (!name.is(Node::Kind::text) || !is_identifier(name.text))
    throw SpecError(name.loc, what + " is a word of letters, digits and _ that begins with no digit");
  if (std::find(std::begin(kReserved), std::end(kReserved), name.text) != std::end(kReserved))
    throw SpecError(name.loc, what + ": '" + name.text + "' is a word that formulas keep for themselves");
}

bool looks_like_formula(std::string_view text) {
  text = trim(text);
  if (text.empty() || !(name_part(text[0]) || text[0] == '(' || text[0] == '[' || text[0] == '-' || text[0] == '.')) return false;
  bool quoted = text.find_first_of("([+*%<>=!") != std::string_view::npos;
  // A slash or a dash also stands in paths and names: an operator has a number or a space beside it.
  for (size_t i = 1; !quoted && i + 1 < text.size(); ++i)
    if (text[i] == '/' || text[i] == '-')
      quoted = (text[i - 1] == ' ' && text[i + 1] == ' ') || (text[i] == '/' && digit(text[i - 1]) && digit(text[i + 1]));
  if (!quoted) return text.find(" if ") != std::string_view::npos && text.find(" else ") != std::string_view::npos;
  try {
    parse_formula(text, {1, 1, 1, 1});
    return true;
  } catch (const SpecError&) {
    return text.size() > kMostCharacters;   // said where it is read
  }
}

}  // namespace mlc
