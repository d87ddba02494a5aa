// Sums along the rows of a contraction's tiles (rule F7): bits as the generic lowering gives them, over lanes and threads,
// with copied columns and without, with a partial last block.
#include "compiler/graph/builder.h"
#include "tests/unit/compile/differential.h"

#include <algorithm>

namespace mlc {
namespace {

// y = x W with `width` columns; outputs of it: sums over everything but the columns, of y and of a part of y^2.
Graph summed(int64_t batch, Shape rows, int64_t width) {
  Graph g;
  g.name = "sums";
  g.batch = batch;
  Builder b(g);
  int64_t depth = rows.back();
  ValueId x = b.input(b.add_tensor({"x", {DType::f32, rows}, Role::input}));
  ValueId y = b.matmul(x, b.state(b.add_tensor({"w", {DType::f32, {depth, width}}, Role::parameter})));
  ValueId positive = b.select(b.binary(OpCode::le, y, b.constant(0)), b.constant(0), b.binary(OpCode::mul, y, y));
  std::vector<int64_t> dims;
  for (int64_t i = 0; i + 1 < static_cast<int64_t>(rows.size()); ++i) dims.push_back(i);
  b.output("y", positive);
  b.output("sum", b.reduce(OpCode::reduce_sum, y, dims, false, true));
  b.output("squares", b.reduce(OpCode::reduce_sum, positive, dims, false, true));
  return g;
}

void check(Graph g) {
  const Grouping grouping = compile(g, {}).grouping;
  ASSERT_TRUE(std::any_of(grouping.groups.begin(), grouping.groups.end(),
                          [](const Group& group) { return group.form == Form::contract && group.writes.size() == 3; }));
  Differential d(std::move(g), 1, 3);
  d.check_some(0, 1e-4);
  d.check_some(1, 1e-4);
}

TEST(Sums, CopiedColumns) { check(summed(100, {40}, 300)); }
TEST(Sums, ColumnsInPlace) { check(summed(37, {20}, 50)); }
TEST(Sums, TokensAndSamples) { check(summed(3, {40, 40}, 300)); }

// Rule F9: what only a weight gradient reads is computed in its panels.
TEST(Panels, ChainThatOneContractionReads) {
  Graph g;
  g.name = "panels";
  g.batch = 21;
  Builder b(g);
  ValueId x = b.input(b.add_tensor({"x", {DType::f32, {19}}, Role::input})),
          y = b.input(b.add_tensor({"y", {DType::f32, {5}}, Role::input}));
  TensorId w = b.add_tensor({"w", {DType::f32, {5, 19}}, Role::parameter});
  ValueId weight = b.state(w),
          loss = b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, b.matmul(y, weight), b.unary(OpCode::tanh, b.unary(OpCode::exp, x))),
                          std::nullopt, false, true);
  b.store(w, b.binary(OpCode::sub, weight, differentiate(g, loss, {weight})[0]));
  const Compiled compiled = compile(g, {});
  EXPECT_TRUE(std::any_of(compiled.graph.ops.begin(), compiled.graph.ops.end(),
                          [](const Op& op) { return op.code == OpCode::tanh && op.layout.blocked == 1; }));
  Differential d(std::move(g), 2, 3);
  d.check_some(0, 1e-4);
  d.check_some(1, 1e-4);
}

}  // namespace
}  // namespace mlc
