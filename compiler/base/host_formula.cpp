#include "compiler/base/host_formula.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"

#include <array>
#include <cmath>

namespace mlc {
namespace {

using Op = HostFormula::Op;

struct OpInfo {
  const char* symbol;
  int arity;
};

OpInfo info(Op op) {
  // clang-format off
  constexpr std::array<OpInfo, 37> kTable = {{
      {"", 0}, {"", 0},
      {"+", 2}, {"-", 2}, {"*", 2}, {"/", 2}, {"//", 2}, {"%", 2}, {"**", 2}, {"min", 2}, {"max", 2},
      {"==", 2}, {"!=", 2}, {"<", 2}, {"<=", 2}, {">", 2}, {">=", 2}, {"and", 2}, {"or", 2}, {"not ", 1},
      {"if", 3},
      {"-", 1}, {"abs", 1}, {"sign", 1}, {"exp", 1}, {"expm1", 1}, {"log", 1}, {"log1p", 1}, {"sqrt", 1}, {"rsqrt", 1},
      {"sin", 1}, {"cos", 1}, {"tanh", 1}, {"erf", 1}, {"sigmoid", 1}, {"floor", 1}, {"ceil", 1},
  }};
  // clang-format on
  if (op == Op::round) return {"round", 1};
  if (op == Op::isnan) return {"isnan", 1};
  return kTable[static_cast<size_t>(op)];
}

double apply(Op op, double a, double b, double c) {
  switch (op) {
  case Op::add: return a + b;
  case Op::sub: return a - b;
  case Op::mul: return a * b;
  case Op::div: return a / b;
  case Op::floordiv: return std::floor(a / b);
  case Op::mod: return a - std::floor(a / b) * b;
  case Op::pow: return std::pow(a, b);
  case Op::min: return std::fmin(a, b);
  case Op::max: return std::fmax(a, b);
  case Op::eq: return a == b;
  case Op::ne: return a != b;
  case Op::lt: return a < b;
  case Op::le: return a <= b;
  case Op::gt: return a > b;
  case Op::ge: return a >= b;
  case Op::and_: return a != 0 && b != 0;
  case Op::or_: return a != 0 || b != 0;
  case Op::not_: return a == 0;
  case Op::select: return a != 0 ? b : c;
  case Op::neg: return -a;
  case Op::abs: return std::fabs(a);
  case Op::sign: return a > 0 ? 1 : a < 0 ? -1 : a;
  case Op::exp: return std::exp(a);
  case Op::expm1: return std::expm1(a);
  case Op::log: return std::log(a);
  case Op::log1p: return std::log1p(a);
  case Op::sqrt: return std::sqrt(a);
  case Op::rsqrt: return 1 / std::sqrt(a);
  case Op::sin: return std::sin(a);
  case Op::cos: return std::cos(a);
  case Op::tanh: return std::tanh(a);
  case Op::erf: return std::erf(a);
  case Op::sigmoid: return 1 / (1 + std::exp(-a));
  case Op::floor: return std::floor(a);
  case Op::ceil: return std::ceil(a);
  case Op::round: return std::nearbyint(a);
  case Op::isnan: return std::isnan(a);
  case Op::number:
  case Op::variable: break;
  }
  throw InternalError("host formula: a leaf has no value to apply");
}

}  // namespace

double HostFormula::evaluate(const double* variables) const {
  std::vector<double> stack;
  for (const Step& step : steps) {
    if (step.op == Op::number) {
      stack.push_back(step.value);
    } else if (step.op == Op::variable) {
      stack.push_back(variables[step.index]);
    } else {
      auto arity = static_cast<size_t>(info(step.op).arity);
      ensure(stack.size() >= arity, "host formula: an operand is missing");
      double operand[3] = {0, 0, 0};
      for (size_t i = 0; i < arity; ++i) operand[i] = stack[stack.size() - arity + i];
      stack.resize(stack.size() - arity);
      stack.push_back(apply(step.op, operand[0], operand[1], operand[2]));
    }
  }
  ensure(stack.size() == 1, "host formula: one result");
  return stack[0];
}

std::string HostFormula::print(const std::vector<std::string>& variables) const {
  std::vector<std::string> stack;
  for (const Step& step : steps) {
    if (step.op == Op::number) {
      stack.push_back(format_number(step.value));
      continue;
    }
    if (step.op == Op::variable) {
      stack.push_back(variables.at(static_cast<size_t>(step.index)));
      continue;
    }
    OpInfo op = info(step.op);
    auto pop = [&] {
      std::string text = stack.back();
      stack.pop_back();
      return text;
    };
    std::string c = op.arity == 3 ? pop() : "", b = op.arity >= 2 ? pop() : "", a = pop();
    if (step.op == Op::select) stack.push_back("(" + b + " if " + a + " else " + c + ")");
    else if (op.arity == 1) stack.push_back(std::string(op.symbol) + "(" + a + ")");
    else if (step.op == Op::min || step.op == Op::max) stack.push_back(std::string(op.symbol) + "(" + a + ", " + b + ")");
    else stack.push_back("(" + a + " " + op.symbol + " " + b + ")");
  }
  return stack.empty() ? "" : stack.back();
}

}  // namespace mlc
