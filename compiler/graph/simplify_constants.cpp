#include "compiler/graph/evaluate.h"
#include "compiler/graph/rewriter.h"

#include <algorithm>
#include <bit>

namespace mlc {
namespace {

constexpr int64_t kMaxFolded = 4096;

template <class T> Array<T> load(const Op& op) {
  Array<T> out = make_array<T>(op.type);
  for (size_t i = 0; i < out.data.size(); ++i) {
    double value = op.attr.values[op.attr.values.size() == 1 ? 0 : i];
    out.data[i] = static_cast<T>(op.type.dtype == DType::f32 ? static_cast<float>(value) : value);
  }
  return out;
}

template <class T> std::vector<double> evaluate(const Rewriter& rw, const Op& op) {
  std::vector<Array<T>> arrays;
  for (ValueId operand : op.in) arrays.push_back(load<T>(rw.op(operand)));
  Operands<T> in;
  for (const Array<T>& array : arrays) in.push_back(&array);
  StepInput<T> none;
  Array<T> value = evaluate_op(Frame<T>{rw.graph(), none}, op, in);
  return {value.data.begin(), value.data.end()};
}

bool is_foldable(OpCode code) {
  if (code == OpCode::copy || code == OpCode::stop_gradient) return false;
  OpClass cls = op_info(code).cls;
  return is_elementwise(code) || (cls == OpClass::shape && code != OpCode::broadcast);
}

}  // namespace

std::optional<ValueId> fold_constants(Rewriter& rw, const Op& op) {
  // One form for a number repeated over a shape: the broadcast of a constant without axes.
  if (op.code == OpCode::constant && op.type.elements() > 1) {
    const std::vector<double>& v = op.attr.values;
    auto differs = [&](double x) { return std::bit_cast<uint64_t>(x) != std::bit_cast<uint64_t>(v[0]); };
    if (std::any_of(v.begin(), v.end(), differs)) return std::nullopt;
    return rw.broadcast(op, rw.number(op, v[0], op.type.dtype), {}, op.type.shape, false);
  }
  if (!is_foldable(op.code) || op.in.empty() || op.type.elements() > kMaxFolded || op.type.dtype == DType::bf16) return std::nullopt;
  for (ValueId operand : op.in)
    if (rw.op(operand).code != OpCode::constant || rw.op(operand).type.dtype == DType::bf16) return std::nullopt;
  Op folded = op;
  folded.code = OpCode::constant;
  folded.in.clear();
  folded.attr = {};
  // Floats are computed as a step would; whole numbers and bools in double, which holds them exactly.
  folded.attr.values = op.type.dtype == DType::f32 ? evaluate<float>(rw, op) : evaluate<double>(rw, op);
  return rw.emit(std::move(folded));
}

}  // namespace mlc
