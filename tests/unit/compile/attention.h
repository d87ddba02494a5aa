// A step of attention, built by hand: projections of one input, scores, softmax, values; with its gradient.
#pragma once
#include "compiler/graph/builder.h"
#include "compiler/graph/graph.h"

#include <cmath>
#include <vector>

namespace mlc {

struct AttentionShape {
  int64_t batch = 2, heads = 2, tokens = 40, features = 8;
  bool causal = false, rotary = false, gradient = true;
  double dropout = 0;
  bool bias = false;                 ///< added to the scores, one for each head
};

// One training step of softmax(q k^T / sqrt(d)) v, with the projection of all three from x; the loss is a mean of squares.
inline Graph attention_step(const AttentionShape& c) {
  Graph g;
  g.name = "train";
  g.batch = c.batch;
  Builder b(g);
  int64_t width = c.heads * c.features;
  ValueId x = b.input(b.add_tensor({"x", {DType::f32, {c.tokens, width}}, Role::input}));
  TensorId w_t = b.add_tensor({"qkv.weight", {DType::f32, {3 * width, width}}, Role::parameter});
  TensorId bias_t = c.bias ? b.add_tensor({"bias", {DType::f32, {c.heads, c.tokens, c.tokens}}, Role::parameter}) : -1;
  ValueId weight = b.state(w_t), bias = c.bias ? b.state(bias_t) : kNoValue;
  ValueId qkv = b.matmul(x, b.transpose(weight, 0, 1));
  auto part = [&](int64_t i) {
    return b.permute(b.reshape(b.slice(qkv, 1, i * width, (i + 1) * width), {c.tokens, c.heads, c.features}), {1, 0, 2});
  };
  auto turn = [&](ValueId v) {
    if (!c.rotary) return v;
    ValueId first = b.slice(v, -1, 0, c.features / 2), second = b.slice(v, -1, c.features / 2, c.features);
    ValueId angle = b.binary(OpCode::mul, b.reshape(b.cast(b.iota(c.tokens), DType::f32), {c.tokens, 1}), b.constant(0.1));
    ValueId cos = b.unary(OpCode::cos, angle), sin = b.unary(OpCode::sin, angle);
    auto mix = [&](OpCode op, ValueId p, ValueId q) { return b.binary(op, b.binary(OpCode::mul, p, cos), b.binary(OpCode::mul, q, sin)); };
    return b.concat({mix(OpCode::sub, first, second), mix(OpCode::add, second, first)}, -1);
  };
  ValueId scores = b.binary(OpCode::mul, b.matmul(turn(part(0)), b.transpose(turn(part(1)), -1, -2)),
                            b.constant(1 / std::sqrt(static_cast<double>(c.features))));
  if (c.bias) scores = b.binary(OpCode::add, scores, bias);
  if (c.causal) {
    ValueId row = b.reshape(b.iota(c.tokens), {c.tokens, 1}), column = b.reshape(b.iota(c.tokens), {1, c.tokens});
    scores = b.select(b.binary(OpCode::le, column, row), scores, b.constant(-1e30));
  }
  ValueId top = b.unary(OpCode::stop_gradient, b.reduce(OpCode::reduce_max, scores, std::vector<int64_t>{-1}, true, false));
  ValueId e = b.unary(OpCode::exp, b.binary(OpCode::sub, scores, top));
  ValueId weights = b.binary(OpCode::div, e, b.reduce(OpCode::reduce_sum, e, std::vector<int64_t>{-1}, true, false));
  if (c.dropout > 0) {
    ValueId stays = b.binary(OpCode::le, b.constant(c.dropout), b.uniform({c.heads, c.tokens, c.tokens}, 5, false));
    weights = b.select(stays, b.binary(OpCode::div, weights, b.constant(1 - c.dropout)), b.constant(0));
  }
  ValueId y = b.matmul(weights, part(2));
  ValueId loss = b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, y, y), std::nullopt, false, true);
  b.output("loss", loss);
  if (!c.gradient) return g;
  std::vector<ValueId> wrt{weight};
  if (c.bias) wrt.push_back(bias);
  std::vector<ValueId> grads = differentiate(g, loss, wrt);
  b.store(w_t, b.binary(OpCode::sub, wrt[0], b.binary(OpCode::mul, grads[0], b.constant(0.01))));
  if (c.bias) b.store(bias_t, b.binary(OpCode::sub, wrt[1], b.binary(OpCode::mul, grads[1], b.constant(0.01))));
  return g;
}

}  // namespace mlc
