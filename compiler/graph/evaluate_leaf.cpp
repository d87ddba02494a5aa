#include "compiler/base/diagnostics.h"
#include "compiler/base/philox.h"
#include "compiler/graph/evaluate.h"

#include <cmath>
#include <cstring>

namespace mlc {
namespace {

template <class Raw> double read(const char* row, int64_t i) {
  Raw value;
  std::memcpy(&value, row + static_cast<size_t>(i) * sizeof(Raw), sizeof(Raw));
  return static_cast<double>(value);
}

double read_bf16(const char* row, int64_t i) {
  uint16_t half;
  std::memcpy(&half, row + i * 2, 2);
  uint32_t bits = uint32_t{half} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

double read(DType dtype, const char* row, int64_t i) {
  switch (dtype) {
  case DType::f32: return read<float>(row, i);
  case DType::bf16: return read_bf16(row, i);
  case DType::i32: return read<int32_t>(row, i);
  case DType::i64: return read<int64_t>(row, i);
  case DType::u8: return read<uint8_t>(row, i);
  case DType::boolean: return read<uint8_t>(row, i) != 0;
  }
  throw InternalError("unknown element type");
}

template <class T> Array<T> read_input(const Frame<T>& frame, const Op& op) {
  const Tensor& tensor = frame.graph.tensors[static_cast<size_t>(op.attr.tensor)];
  auto column = frame.input.columns.find(op.attr.tensor);
  ensure(column != frame.input.columns.end() && frame.input.rows, "interpreter: an input column is missing");
  Array<T> out = make_array<T>(op.type);
  int64_t per_row = tensor.type.elements(), bytes = tensor.row_pitch() * dtype_bytes(tensor.type.dtype);
  constexpr double kExact = sizeof(T) == 4 ? 0x1p24 : 0x1p53;
  size_t at = 0;
  for (int64_t sample = 0; sample < frame.graph.batch; ++sample) {
    const char* row = static_cast<const char*>(column->second) + frame.input.rows[sample] * bytes;
    for (int64_t i = 0; i < per_row; ++i) {
      double value = read(tensor.type.dtype, row, i);
      if (!is_float(tensor.type.dtype) && std::fabs(value) > kExact)
        throw RuntimeError("column `" + tensor.path + "`: the number " + std::to_string(static_cast<long long>(value)) +
                           " is too large for the reference interpreter");
      out.data[at++] = static_cast<T>(value);
    }
  }
  return out;
}

template <class T> Array<T> read_state(const Frame<T>& frame, const Op& op) {
  ensure(frame.input.state, "interpreter: the state is missing");
  auto found = frame.input.state->find(op.attr.tensor);
  ensure(found != frame.input.state->end(), "interpreter: a state tensor is missing");
  ensure(static_cast<int64_t>(found->second.data.size()) == op.type.elements(), "interpreter: a state tensor has another size");
  return {op.type, found->second.data};
}

template <class T> Array<T> random(const Frame<T>& frame, const Op& op) {
  Array<T> out = make_array<T>(op.type);
  int64_t samples = op.per_sample ? frame.graph.batch : 1, elements = op.type.elements() / samples;
  uint64_t seed = frame.input.seed;
  uint32_t stream = op.attr.stream, step = frame.input.step;
  size_t at = 0;
  for (int64_t sample = 0; sample < samples; ++sample)
    for (int64_t i = 0; i < elements; ++i) {
      auto row = static_cast<uint32_t>(sample), element = static_cast<uint32_t>(i);
      out.data[at++] = op.code == OpCode::uniform ? static_cast<T>(philox_uniform(philox_word(seed, stream, step, row, element)))
                                                  : static_cast<T>(philox_normal(seed, stream, step, row, element));
    }
  return out;
}

template <class T> Array<T> constant(const Op& op) {
  const std::vector<double>& values = op.attr.values;
  Array<T> out = make_array<T>(op.type, static_cast<T>(values[0]));
  if (values.size() > 1)
    for (size_t i = 0; i < values.size(); ++i) out.data[i] = static_cast<T>(values[i]);
  return out;
}

template <class T> Array<T> iota(const Op& op) {
  Array<T> out = make_array<T>(op.type);
  auto axis = static_cast<size_t>(op.attr.axis);
  int64_t stride = row_major(op.type.shape)[axis], extent = op.type.shape[axis];
  for (size_t i = 0; i < out.data.size(); ++i) out.data[i] = static_cast<T>(static_cast<int64_t>(i) / stride % extent);
  return out;
}

}  // namespace

template <class T> Array<T> evaluate_leaf(const Frame<T>& frame, const Op& op) {
  switch (op.code) {
  case OpCode::constant: return constant<T>(op);
  case OpCode::iota: return iota<T>(op);
  case OpCode::input: return read_input(frame, op);
  case OpCode::state: return read_state(frame, op);
  case OpCode::scalar:
    ensure(static_cast<size_t>(op.attr.index) < frame.input.scalars.size(), "interpreter: a host scalar is missing");
    return make_array(op.type, static_cast<T>(frame.input.scalars[static_cast<size_t>(op.attr.index)]));
  default: return random(frame, op);
  }
}

template Array<float> evaluate_leaf(const Frame<float>&, const Op&);
template Array<double> evaluate_leaf(const Frame<double>&, const Op&);

}  // namespace mlc
