// A small training step, built by hand: a two-layer perceptron with cross entropy and Adam, from u8 rows.
#pragma once
#include "compiler/graph/builder.h"
#include "compiler/graph/graph.h"

#include <string>
#include <vector>

namespace mlc {

struct MlpShape {
  int64_t batch = 64, in = 784, hidden = 500, out = 10;
};

inline Graph mlp_step(const MlpShape& s) {
  Graph g;
  g.name = "train b" + std::to_string(s.batch);
  g.batch = s.batch;
  Builder b(g);
  TensorId x_t = b.add_tensor({"x", {DType::u8, {s.in}}, Role::input}), y_t = b.add_tensor({"y", {DType::i32, {}}, Role::input});
  std::vector<TensorId> params, m, v;
  auto param = [&](const std::string& name, Shape shape) {
    params.push_back(b.add_tensor({name, {DType::f32, shape}, Role::parameter}));
    m.push_back(b.add_tensor({"optimizer.m." + name, {DType::f32, shape}, Role::slot}));
    v.push_back(b.add_tensor({"optimizer.v." + name, {DType::f32, shape}, Role::slot}));
    return b.state(params.back());
  };
  ValueId w1 = param("linear1.weight", {s.hidden, s.in}), b1 = param("linear1.bias", {s.hidden});
  ValueId w2 = param("linear2.weight", {s.out, s.hidden}), b2 = param("linear2.bias", {s.out});
  ValueId x = b.binary(OpCode::mul, b.cast(b.input(x_t), DType::f32), b.constant(1 / 255.0));
  ValueId z = b.binary(OpCode::add, b.matmul(x, b.transpose(w1, 0, 1)), b1);
  ValueId zero = b.constant(0);
  ValueId a = b.select(b.binary(OpCode::le, z, zero), zero, z);
  ValueId logits = b.binary(OpCode::add, b.matmul(a, b.transpose(w2, 0, 1)), b2);
  ValueId top = b.unary(OpCode::stop_gradient, b.reduce(OpCode::reduce_max, logits, std::vector<int64_t>{-1}, true, false));
  ValueId shifted = b.binary(OpCode::sub, logits, top);
  ValueId sum = b.reduce(OpCode::reduce_sum, b.unary(OpCode::exp, shifted), std::vector<int64_t>{-1}, true, false);
  ValueId log_p = b.binary(OpCode::sub, shifted, b.unary(OpCode::log, sum));
  ValueId each = b.unary(OpCode::neg, b.pick(log_p, b.input(y_t), -1));
  ValueId loss =
      b.binary(OpCode::div, b.reduce(OpCode::reduce_sum, each, std::nullopt, false, true), b.constant(static_cast<double>(s.batch)));
  b.output("loss", loss);
  std::vector<ValueId> grads = differentiate(g, loss, {w1, b1, w2, b2});
  ValueId lr = b.scalar(b.add_scalar({"lr", {{{HostFormula::Op::variable, 0, 0}}}}));
  for (size_t i = 0; i < params.size(); ++i) {
    ValueId mean =
        b.binary(OpCode::add, b.binary(OpCode::mul, b.state(m[i]), b.constant(0.9)), b.binary(OpCode::mul, grads[i], b.constant(0.1)));
    ValueId square = b.binary(OpCode::add, b.binary(OpCode::mul, b.state(v[i]), b.constant(0.999)),
                              b.binary(OpCode::mul, b.binary(OpCode::mul, grads[i], grads[i]), b.constant(0.001)));
    ValueId step =
        b.binary(OpCode::div, b.binary(OpCode::mul, lr, mean), b.binary(OpCode::add, b.unary(OpCode::sqrt, square), b.constant(1e-8)));
    b.store(params[i], b.binary(OpCode::sub, b.state(params[i]), step));
    b.store(m[i], mean);
    b.store(v[i], square);
  }
  return g;
}

}  // namespace mlc
