#include "compiler/base/diagnostics.h"
#include "compiler/graph/evaluate.h"

namespace mlc {
namespace {

/// Copies x, read with these strides, into the row-major result.
template <class T> Array<T> gather(const Op& op, const Array<T>& x, const Strides& strides, int64_t base) {
  Array<T> out = make_array<T>(op.type);
  T* to = out.data.data();
  walk(op.type.shape, strides, base, [&](int64_t at) { *to++ = x.data[static_cast<size_t>(at)]; });
  return out;
}

/// Copies all of x into a part of `out` that begins at `base`.
template <class T> void scatter(const Array<T>& x, Array<T>& out, int64_t base) {
  const T* from = x.data.data();
  walk(x.type.shape, row_major(out.type.shape), base, [&](int64_t at) { out.data[static_cast<size_t>(at)] = *from++; });
}

template <class T> Array<T> broadcast(const Op& op, const Array<T>& x) {
  Strides own = row_major(x.type.shape), strides(op.type.shape.size(), 0);
  for (size_t i = 0; i < own.size(); ++i)
    if (x.type.shape[i] > 1) strides[static_cast<size_t>(op.attr.dims[i])] = own[i];
  return gather(op, x, strides, 0);
}

template <class T> Array<T> transpose(const Op& op, const Array<T>& x) {
  Strides own = row_major(x.type.shape), strides;
  for (int64_t from : op.attr.dims) strides.push_back(own[static_cast<size_t>(from)]);
  return gather(op, x, strides, 0);
}

template <class T> Array<T> slice(const Op& op, const Array<T>& x) {
  Strides strides = row_major(x.type.shape);
  int64_t base = 0;
  for (size_t i = 0; i < strides.size(); ++i) {
    base += op.attr.begin[i] * strides[i];
    strides[i] *= op.attr.step[i];
  }
  return gather(op, x, strides, base);
}

template <class T> Array<T> pad(const Op& op, const Array<T>& x) {
  Array<T> out = make_array<T>(op.type, static_cast<T>(op.attr.values[0]));
  Strides strides = row_major(op.type.shape);
  int64_t base = 0;
  for (size_t i = 0; i < strides.size(); ++i) base += op.attr.begin[i] * strides[i];
  scatter(x, out, base);
  return out;
}

template <class T> Array<T> concat(const Op& op, const Operands<T>& in) {
  Array<T> out = make_array<T>(op.type);
  auto axis = static_cast<size_t>(op.attr.axis);
  int64_t stride = row_major(op.type.shape)[axis], base = 0;
  for (const Array<T>* part : in) {
    scatter(*part, out, base);
    base += part->type.shape[axis] * stride;
  }
  return out;
}

}  // namespace

template <class T> Array<T> evaluate_shape(const Op& op, const Operands<T>& in) {
  switch (op.code) {
  case OpCode::broadcast: return broadcast(op, *in[0]);
  case OpCode::reshape: return {op.type, in[0]->data};
  case OpCode::transpose: return transpose(op, *in[0]);
  case OpCode::slice: return slice(op, *in[0]);
  case OpCode::pad: return pad(op, *in[0]);
  case OpCode::concat: return concat(op, in);
  default: throw InternalError("interpreter: not a shape op");
  }
}

template Array<float> evaluate_shape(const Op&, const Operands<float>&);
template Array<double> evaluate_shape(const Op&, const Operands<double>&);

}  // namespace mlc
