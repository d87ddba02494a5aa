// Elementwise ops. Transcendental functions are computed in f64 and rounded once; arithmetic is in T, so that f32
// results are those of IEEE hardware. Whole numbers go through int64 and wrap to 32 bits.
#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"

#include <cmath>
#include <limits>

namespace mlc {
namespace {

template <class T, class F> Array<T> map(const Op& op, const Operands<T>& in, F f) {
  Array<T> out = make_array<T>(op.type);
  const T* x = in[0]->data.data();
  for (size_t i = 0; i < out.data.size(); ++i) out.data[i] = static_cast<T>(f(x[i]));
  return out;
}

template <class T, class F> Array<T> zip(const Op& op, const Operands<T>& in, F f) {
  Array<T> out = make_array<T>(op.type);
  const T *a = in[0]->data.data(), *b = in[1]->data.data();
  for (size_t i = 0; i < out.data.size(); ++i) out.data[i] = static_cast<T>(f(a[i], b[i]));
  return out;
}

double saturate(double x, double low, double high) {
  if (std::isnan(x)) return 0;
  return x < low ? low : x > high ? high : std::trunc(x);
}

/// Low bits of a whole number, as a conversion between integers keeps them.
double wrap(DType to, double x) {
  auto i = static_cast<int64_t>(x);
  return to == DType::u8 ? static_cast<uint8_t>(i) : static_cast<double>(wrap_i32(i));
}

template <class T> Array<T> cast(const Op& op, const Operands<T>& in) {
  DType from = in[0]->type.dtype, to = op.type.dtype;
  if (to == DType::boolean) return map(op, in, [](T x) { return x != 0; });
  if (is_float(to) || from == DType::boolean || from == to) return map(op, in, [](T x) { return x; });
  if (!is_float(from)) return to == DType::i64 ? map(op, in, [](T x) { return x; }) : map(op, in, [to](T x) { return wrap(to, x); });
  double high = to == DType::u8 ? 255 : to == DType::i32 ? 0x1p31 - 1 : 0x1p63 - 1024;
  double low = to == DType::u8 ? 0 : to == DType::i32 ? -0x1p31 : -0x1p63;
  return map(op, in, [low, high](T x) { return saturate(x, low, high); });
}

template <class T> Array<T> unary(const Op& op, const Operands<T>& in) {
  switch (op.code) {
  case OpCode::neg:
    if (op.type.dtype == DType::i32) return map(op, in, [](T x) { return wrap_i32(-static_cast<int64_t>(x)); });
    return map(op, in, [](T x) { return -x; });
  case OpCode::abs:
    if (op.type.dtype == DType::i32) return map(op, in, [](T x) { return wrap_i32(std::abs(static_cast<int64_t>(x))); });
    return map(op, in, [](T x) { return std::fabs(x); });
  case OpCode::sign: return map(op, in, [](T x) { return x > 0 ? T(1) : x < 0 ? T(-1) : x; });
  case OpCode::exp: return map(op, in, [](double x) { return std::exp(x); });
  case OpCode::expm1: return map(op, in, [](double x) { return std::expm1(x); });
  case OpCode::log: return map(op, in, [](double x) { return std::log(x); });
  case OpCode::log1p: return map(op, in, [](double x) { return std::log1p(x); });
  case OpCode::sqrt: return map(op, in, [](T x) { return std::sqrt(x); });
  case OpCode::rsqrt: return map(op, in, [](T x) { return 1 / std::sqrt(x); });
  case OpCode::sin: return map(op, in, [](double x) { return std::sin(x); });
  case OpCode::cos: return map(op, in, [](double x) { return std::cos(x); });
  case OpCode::tanh: return map(op, in, [](double x) { return std::tanh(x); });
  case OpCode::erf: return map(op, in, [](double x) { return std::erf(x); });
  case OpCode::sigmoid: return map(op, in, [](double x) { return 1 / (1 + std::exp(-x)); });
  case OpCode::floor: return map(op, in, [](T x) { return std::floor(x); });
  case OpCode::round: return map(op, in, [](T x) { return std::nearbyint(x); });
  case OpCode::isnan: return map(op, in, [](T x) { return std::isnan(x); });
  case OpCode::logical_not: return map(op, in, [](T x) { return x == 0; });
  case OpCode::cast: return cast(op, in);
  case OpCode::copy:
  case OpCode::stop_gradient: return map(op, in, [](T x) { return x; });
  default: throw InternalError("interpreter: not a unary op");
  }
}

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == 0) return 0;
  int64_t q = a / b;
  return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}

template <class T> Array<T> binary_i32(const Op& op, const Operands<T>& in) {
  auto apply = [&](auto f) { return zip(op, in, [f](T a, T b) { return wrap_i32(f(static_cast<int64_t>(a), static_cast<int64_t>(b))); }); };
  switch (op.code) {
  case OpCode::add: return apply([](int64_t a, int64_t b) { return a + b; });
  case OpCode::sub: return apply([](int64_t a, int64_t b) { return a - b; });
  case OpCode::mul: return apply([](int64_t a, int64_t b) { return a * b; });
  case OpCode::floordiv: return apply(floor_divide);
  case OpCode::mod: return apply([](int64_t a, int64_t b) { return a - floor_divide(a, b) * b; });
  case OpCode::max: return apply([](int64_t a, int64_t b) { return a > b ? a : b; });
  case OpCode::min: return apply([](int64_t a, int64_t b) { return a < b ? a : b; });
  default: throw InternalError("interpreter: not a binary op on i32");
  }
}

template <class T> Array<T> binary(const Op& op, const Operands<T>& in) {
  switch (op.code) {
  case OpCode::eq: return zip(op, in, [](T a, T b) { return a == b; });
  case OpCode::ne: return zip(op, in, [](T a, T b) { return a != b; });
  case OpCode::lt: return zip(op, in, [](T a, T b) { return a < b; });
  case OpCode::le: return zip(op, in, [](T a, T b) { return a <= b; });
  case OpCode::logical_and: return zip(op, in, [](T a, T b) { return a != 0 && b != 0; });
  case OpCode::logical_or: return zip(op, in, [](T a, T b) { return a != 0 || b != 0; });
  default: break;
  }
  if (op.type.dtype == DType::i32) return binary_i32(op, in);
  switch (op.code) {
  case OpCode::add: return zip(op, in, [](T a, T b) { return a + b; });
  case OpCode::sub: return zip(op, in, [](T a, T b) { return a - b; });
  case OpCode::mul: return zip(op, in, [](T a, T b) { return a * b; });
  case OpCode::div: return zip(op, in, [](T a, T b) { return a / b; });
  case OpCode::floordiv: return zip(op, in, [](T a, T b) { return std::floor(a / b); });
  case OpCode::mod: return zip(op, in, [](T a, T b) { return a - std::floor(a / b) * b; });
  case OpCode::max: return zip(op, in, [](T a, T b) { return std::isnan(a) || a > b ? a : b; });
  case OpCode::min: return zip(op, in, [](T a, T b) { return std::isnan(a) || a < b ? a : b; });
  case OpCode::pow: return zip(op, in, [](double a, double b) { return std::pow(a, b); });
  default: throw InternalError("interpreter: not a binary op");
  }
}

}  // namespace

template <class T> Array<T> evaluate_elementwise(const Op& op, const Operands<T>& in) {
  switch (op_info(op.code).cls) {
  case OpClass::unary: return unary(op, in);
  case OpClass::binary: return binary(op, in);
  default: break;
  }
  Array<T> out = make_array<T>(op.type);
  for (size_t i = 0; i < out.data.size(); ++i) out.data[i] = in[0]->data[i] != 0 ? in[1]->data[i] : in[2]->data[i];
  return out;
}

template Array<float> evaluate_elementwise(const Op&, const Operands<float>&);
template Array<double> evaluate_elementwise(const Op&, const Operands<double>&);

}  // namespace mlc
