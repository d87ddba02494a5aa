#include "compiler/graph/promote.h"

#include "compiler/base/text.h"

namespace mlc {

DType arithmetic_type(DType d) {
  switch (d) {
  case DType::boolean:
  case DType::i32: return DType::i32;
  case DType::u8:
  case DType::i64: return DType::f32;
  default: return d;
  }
}

DType arithmetic_type(DType a, DType b) {
  a = arithmetic_type(a), b = arithmetic_type(b);
  return a == b ? a : DType::f32;
}

DType common_type(DType a, DType b) {
  if (a == b) return a;
  if (is_float(a) || is_float(b)) return arithmetic_type(a, b);
  return a == DType::i64 || b == DType::i64 ? DType::i64 : DType::i32;
}

DType operand_type(OpCode code, DType x) {
  switch (code) {
  case OpCode::cast:
  case OpCode::copy:
  case OpCode::stop_gradient: return x;
  case OpCode::logical_not: return DType::boolean;
  case OpCode::neg:
  case OpCode::abs:
  case OpCode::sign: return arithmetic_type(x);
  default: return is_float(x) ? x : DType::f32;
  }
}

DType operand_type(OpCode code, DType a, DType b) {
  switch (code) {
  case OpCode::logical_and:
  case OpCode::logical_or: return DType::boolean;
  case OpCode::eq:
  case OpCode::ne:
  case OpCode::lt:
  case OpCode::le: return common_type(a, b);
  case OpCode::div:
  case OpCode::pow: {
    DType d = arithmetic_type(a, b);
    return is_float(d) ? d : DType::f32;
  }
  default: return arithmetic_type(a, b);
  }
}

std::string op_symbol(OpCode code) {
  switch (code) {
  case OpCode::add: return "+";
  case OpCode::neg:
  case OpCode::sub: return "-";
  case OpCode::mul: return "*";
  case OpCode::div: return "/";
  case OpCode::floordiv: return "//";
  case OpCode::mod: return "%";
  case OpCode::pow: return "**";
  case OpCode::eq: return "==";
  case OpCode::ne: return "!=";
  case OpCode::lt: return "<";
  case OpCode::le: return "<=";
  case OpCode::logical_not: return "not";
  case OpCode::logical_and: return "and";
  case OpCode::logical_or: return "or";
  default: return replace_all(std::string(op_info(code).name), "reduce_", "");
  }
}

}  // namespace mlc
