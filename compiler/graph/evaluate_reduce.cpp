// Reductions. Sums and products of floats are carried in f64 and rounded once: the reference is better than any order
// of f32 additions that a device may choose.
#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"

#include <cmath>
#include <type_traits>

namespace mlc {
namespace {

/// Strides of the result along the operand's axes; 0 along the axes that vanish.
Strides result_strides(const Op& op, const Shape& shape) {
  std::vector<bool> gone(shape.size());
  for (int64_t dim : op.attr.dims) gone[static_cast<size_t>(dim)] = true;
  Strides own = row_major(op.type.shape), strides(shape.size(), 0);
  for (size_t i = 0, k = 0; i < shape.size(); ++i)
    if (!gone[i]) strides[i] = own[k++];
  return strides;
}

template <class T, class A, class F> Array<T> fold(const Op& op, const Array<T>& x, A first, F f) {
  std::vector<A> sums(static_cast<size_t>(op.type.elements()), first);
  const T* from = x.data.data();
  walk(x.type.shape, result_strides(op, x.type.shape), 0, [&](int64_t at) {
    A& sum = sums[static_cast<size_t>(at)];
    sum = f(sum, static_cast<A>(*from++));
  });
  Array<T> out{op.type, {}};
  out.data.assign(sums.begin(), sums.end());
  return out;
}

template <class T> bool is_greater(T a, T b) { return a > b || (std::isnan(a) && !std::isnan(b)); }

template <class T> Array<T> argmax(const Op& op, const Array<T>& x) {
  Array<T> best = make_array<T>(op.type), out = make_array<T>(op.type);
  auto axis = static_cast<size_t>(op.attr.dims[0]);
  int64_t stride = row_major(x.type.shape)[axis], extent = x.type.shape[axis], linear = 0;
  walk(x.type.shape, result_strides(op, x.type.shape), 0, [&](int64_t at) {
    auto i = static_cast<size_t>(at);
    int64_t position = linear / stride % extent;
    T value = x.data[static_cast<size_t>(linear++)];
    if (position == 0 || is_greater(value, best.data[i])) best.data[i] = value, out.data[i] = static_cast<T>(position);
  });
  return out;
}

template <class T> Array<T> cumsum(const Op& op, const Array<T>& x) {
  Array<T> out = make_array<T>(op.type);
  auto axis = static_cast<size_t>(op.attr.axis);
  auto stride = static_cast<size_t>(row_major(x.type.shape)[axis]), extent = static_cast<size_t>(x.type.shape[axis]);
  for (size_t outer = 0; outer < x.data.size(); outer += stride * extent)
    for (size_t inner = 0; inner < stride; ++inner) {
      double sum = 0;
      for (size_t i = 0, at = outer + inner; i < extent; ++i, at += stride) {
        sum += x.data[at];
        if (op.type.dtype == DType::i32) sum = static_cast<double>(wrap_i32(static_cast<int64_t>(sum)));
        out.data[at] = static_cast<T>(sum);
      }
    }
  return out;
}

}  // namespace

template <class T> Array<T> evaluate_reduce(const Op& op, const Operands<T>& in) {
  const Array<T>& x = *in[0];
  bool whole = op.type.dtype == DType::i32;
  switch (op.code) {
  case OpCode::reduce_sum:
    if (whole) return fold(op, x, int64_t{0}, [](int64_t a, int64_t b) { return wrap_i32(a + b); });
    // Differences of f64 sums are derivatives' yardstick: they take all digits that there are.
    if constexpr (std::is_same_v<T, double>) return fold(op, x, 0.0L, [](long double a, long double b) { return a + b; });
    return fold(op, x, 0.0, [](double a, double b) { return a + b; });
  case OpCode::reduce_prod:
    if (whole) return fold(op, x, int64_t{1}, [](int64_t a, int64_t b) { return wrap_i32(a * b); });
    return fold(op, x, 1.0, [](double a, double b) { return a * b; });
  case OpCode::reduce_max:
    if (whole) return fold(op, x, int64_t{INT32_MIN}, [](int64_t a, int64_t b) { return a > b ? a : b; });
    return fold(op, x, static_cast<T>(-INFINITY), [](T a, T b) { return std::isnan(a) || a > b ? a : b; });
  case OpCode::reduce_min:
    if (whole) return fold(op, x, int64_t{INT32_MAX}, [](int64_t a, int64_t b) { return a < b ? a : b; });
    return fold(op, x, static_cast<T>(INFINITY), [](T a, T b) { return std::isnan(a) || a < b ? a : b; });
  case OpCode::argmax: return argmax(op, x);
  case OpCode::cumsum: return cumsum(op, x);
  default: throw InternalError("interpreter: not a reduction");
  }
}

template Array<float> evaluate_reduce(const Op&, const Operands<float>&);
template Array<double> evaluate_reduce(const Op&, const Operands<double>&);

}  // namespace mlc
