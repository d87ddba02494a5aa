#include "compiler/base/text.h"
#include "compiler/graph/text_form.h"

#include <cctype>
#include <charconv>
#include <utility>

namespace mlc {
namespace {

using Op = HostFormula::Op;
using Steps = std::vector<HostFormula::Step>;

constexpr std::pair<std::string_view, Op> kInfix[] = {{"//", Op::floordiv}, {"**", Op::pow},    {"==", Op::eq},  {"!=", Op::ne},
                                                      {"<=", Op::le},       {">=", Op::ge},     {"+", Op::add},  {"-", Op::sub},
                                                      {"*", Op::mul},       {"/", Op::div},     {"%", Op::mod},  {"<", Op::lt},
                                                      {">", Op::gt},        {"and ", Op::and_}, {"or ", Op::or_}};

constexpr std::pair<std::string_view, Op> kCalls[] = {
    {"not ", Op::not_}, {"abs", Op::abs},         {"sign", Op::sign},   {"expm1", Op::expm1}, {"exp", Op::exp},     {"log1p", Op::log1p},
    {"log", Op::log},   {"sqrt", Op::sqrt},       {"rsqrt", Op::rsqrt}, {"sin", Op::sin},     {"cos", Op::cos},     {"tanh", Op::tanh},
    {"erf", Op::erf},   {"sigmoid", Op::sigmoid}, {"floor", Op::floor}, {"ceil", Op::ceil},   {"round", Op::round}, {"isnan", Op::isnan},
    {"-", Op::neg},     {"min", Op::min},         {"max", Op::max}};

/// The printed form is fully bracketed: a number, a variable, f(a), f(a, b), (a op b) or (a if c else b).
class FormulaReader {
public:
  FormulaReader(std::string_view text, const std::vector<std::string>& variables) : text_(text), variables_(variables) {}

  HostFormula read() {
    HostFormula out{term(0)};
    if (at_ != text_.size()) fail("the formula ends here");
    return out;
  }

private:
  [[noreturn]] void fail(std::string what) const { throw FormulaFault{at_, std::move(what)}; }
  std::string_view rest() const { return text_.substr(at_); }
  bool take(std::string_view word) {
    if (!starts_with(rest(), word)) return false;
    at_ += word.size();
    return true;
  }
  void expect(std::string_view word) {
    if (!take(word)) fail("`" + std::string(word) + "` expected");
  }

  Steps term(int depth) {
    if (depth > 200) fail("the formula is nested too deeply");
    if (take("(")) return bracket(depth);
    for (const auto& [name, op] : kCalls)
      if (starts_with(rest(), std::string(name) + "(")) {
        at_ += name.size() + 1;
        Steps steps = term(depth + 1);
        if (op == Op::min || op == Op::max) {
          expect(", ");
          append(steps, term(depth + 1));
        }
        expect(")");
        steps.push_back({op});
        return steps;
      }
    for (size_t i = 0; i < variables_.size(); ++i)
      if (starts_with(rest(), variables_[i]) && ends_word(variables_[i])) {
        at_ += variables_[i].size();
        return {{Op::variable, 0, static_cast<int>(i)}};
      }
    double value = 0;
    auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail("a number, a variable or a call expected");
    at_ = static_cast<size_t>(end - text_.data());
    return {{Op::number, value}};
  }

  Steps bracket(int depth) {
    Steps a = term(depth + 1);
    if (take(" if ")) {
      Steps condition = term(depth + 1);
      expect(" else ");
      append(condition, std::move(a));
      append(condition, term(depth + 1));
      expect(")");
      condition.push_back({Op::select});
      return condition;
    }
    expect(" ");
    for (const auto& [symbol, op] : kInfix)
      if (take(symbol)) {
        if (symbol.back() != ' ') expect(" ");
        append(a, term(depth + 1));
        expect(")");
        a.push_back({op});
        return a;
      }
    fail("an operator expected");
  }

  /// `t` is not the beginning of a longer name.
  bool ends_word(const std::string& name) const {
    size_t end = at_ + name.size();
    return end >= text_.size() || !std::isalnum(static_cast<unsigned char>(text_[end]));
  }
  static void append(Steps& to, Steps from) { to.insert(to.end(), from.begin(), from.end()); }

  std::string_view text_;
  const std::vector<std::string>& variables_;
  size_t at_ = 0;
};

}  // namespace

HostFormula parse_host_formula(std::string_view text, const std::vector<std::string>& variables) {
  return FormulaReader(text, variables).read();
}

}  // namespace mlc
