#include "tests/unit/graph/harness.h"

#include "compiler/base/diagnostics.h"

#include <gtest/gtest.h>

#include <functional>

namespace mlc {
namespace {

struct Fixture : testing::Test {
  Graph graph = test::graph_of_batch(2);
  Builder b{graph};
  ValueId x = test::leaf(b, "x", {3, 4}, false);  // per-sample
  ValueId w = test::leaf(b, "w", {4, 5}, true);   // shared
  ValueId u = test::leaf(b, "u", {4}, false, DType::u8);
  ValueId l = test::leaf(b, "l", {4}, false, DType::i64);
  ValueId i = test::leaf(b, "i", {4}, false, DType::i32);
  ValueId f = test::leaf(b, "f", {4}, false, DType::boolean);
  DType dtype(ValueId v) const { return graph.type(v).dtype; }
};

using BuilderTest = Fixture;

TEST_F(BuilderTest, PromotesElementTypes) {
  using O = OpCode;
  EXPECT_EQ(dtype(b.binary(O::add, f, f)), DType::i32);
  EXPECT_EQ(dtype(b.binary(O::add, f, i)), DType::i32);
  EXPECT_EQ(dtype(b.binary(O::mul, i, i)), DType::i32);
  EXPECT_EQ(dtype(b.binary(O::add, u, u)), DType::f32);
  EXPECT_EQ(dtype(b.binary(O::add, l, i)), DType::f32);
  EXPECT_EQ(dtype(b.binary(O::div, i, i)), DType::f32);
  EXPECT_EQ(dtype(b.binary(O::pow, i, i)), DType::f32);
  EXPECT_EQ(dtype(b.binary(O::floordiv, i, f)), DType::i32);
  EXPECT_EQ(dtype(b.binary(O::eq, u, u)), DType::boolean);
  EXPECT_EQ(dtype(graph.op(b.binary(O::lt, u, u)).in[0]), DType::u8);
  EXPECT_EQ(dtype(graph.op(b.binary(O::eq, l, i)).in[1]), DType::i64);
  EXPECT_EQ(dtype(graph.op(b.binary(O::eq, u, b.constant(0.5))).in[0]), DType::f32);
  EXPECT_EQ(dtype(b.unary(O::exp, i)), DType::f32);
  EXPECT_EQ(dtype(b.unary(O::neg, f)), DType::i32);
  EXPECT_EQ(b.unary(O::floor, i), i);
  EXPECT_EQ(dtype(b.unary(O::logical_not, i)), DType::boolean);
  EXPECT_EQ(dtype(b.binary(O::logical_and, i, u)), DType::boolean);
  EXPECT_EQ(dtype(b.reduce(O::reduce_sum, f, {}, false, false)), DType::i32);
  EXPECT_EQ(dtype(b.reduce(O::reduce_max, u, {}, false, false)), DType::f32);
  EXPECT_EQ(dtype(b.argmax(u, 0, false)), DType::i32);
  EXPECT_EQ(dtype(b.select(i, u, u)), DType::u8);
  EXPECT_EQ(dtype(b.select(f, u, b.constant(1.5))), DType::f32);
  EXPECT_EQ(dtype(b.concat({u, i}, 0)), DType::i32);
  EXPECT_EQ(dtype(b.take(b.reshape(w, {20}), l)), DType::f32);
}

TEST_F(BuilderTest, BroadcastsSampleAxesOnly) {
  ValueId y = b.binary(OpCode::add, x, b.constant(1));
  EXPECT_EQ(b.sample_shape(y), (Shape{3, 4}));
  EXPECT_TRUE(graph.op(y).per_sample);
  // A sample of extent 2 beside the batch of 2: [2] is not the batch.
  ValueId s = test::leaf(b, "s", {2, 1, 1}, true);
  EXPECT_EQ(graph.type(b.binary(OpCode::mul, x, s)).shape, (Shape{2, 2, 3, 4}));
  EXPECT_EQ(graph.type(b.binary(OpCode::mul, s, w)).shape, (Shape{2, 4, 5}));
  EXPECT_FALSE(graph.op(b.binary(OpCode::mul, s, w)).per_sample);
}

TEST_F(BuilderTest, ReducesAndReportsCounts) {
  EXPECT_EQ(graph.type(b.reduce(OpCode::reduce_sum, x, std::vector<int64_t>{-1}, true, false)).shape, (Shape{2, 3, 1}));
  ValueId all = b.reduce(OpCode::reduce_sum, x, std::vector<int64_t>{1}, true, true);
  EXPECT_EQ(graph.type(all).shape, (Shape{3, 1}));
  EXPECT_FALSE(graph.op(all).per_sample);
  EXPECT_EQ(graph.type(b.reduce(OpCode::reduce_sum, x, {}, false, false)).shape, (Shape{2}));
  EXPECT_EQ(b.reduced_count(x, {}, true), 24);
  EXPECT_EQ(b.reduced_count(x, std::vector<int64_t>{0}, false), 3);
  EXPECT_EQ(b.reduced_count(w, {}, true), 20);
}

TEST_F(BuilderTest, MatmulWritesLabels) {
  auto labels = [&](ValueId y) { return graph.op(y).attr.labels; };
  EXPECT_EQ(labels(b.matmul(x, w)), "bmi,io->bmo");
  ValueId v = test::leaf(b, "v", {4}, false);
  EXPECT_EQ(labels(b.matmul(v, w)), "bi,io->bo");
  EXPECT_EQ(labels(b.matmul(v, v)), "bi,bi->b");
  EXPECT_EQ(labels(b.matmul(b.transpose(w, 0, 1), v)), "mi,bi->bm");
  ValueId heads = test::leaf(b, "heads", {7, 3, 4}, false), one = test::leaf(b, "one", {1, 4, 3}, true);
  EXPECT_EQ(labels(b.matmul(heads, one)), "bAmi,io->bAmo");
  EXPECT_EQ(labels(b.matmul(heads, b.transpose(heads, -1, -2))), "bAmi,bAio->bAmo");
}

TEST_F(BuilderTest, SlicesLikePython) {
  ValueId v = test::leaf(b, "v", {10}, true);
  auto values = [&](ValueId y) {
    std::vector<double> ten(10);
    for (size_t n = 0; n < 10; ++n) ten[n] = static_cast<double>(n);
    return test::evaluate<double>(graph, {{v, ten},
                                          {x, std::vector<double>(24)},
                                          {w, std::vector<double>(20)},
                                          {u, std::vector<double>(8)},
                                          {l, std::vector<double>(8)},
                                          {i, std::vector<double>(8)},
                                          {f, std::vector<double>(8)}})[y]
        .data;
  };
  EXPECT_EQ(values(b.slice(v, 0, -3, {})), (std::vector<double>{7, 8, 9}));
  EXPECT_EQ(values(b.slice(v, 0, {}, 100, 4)), (std::vector<double>{0, 4, 8}));
  EXPECT_EQ(values(b.slice(v, 0, 1, -1, 3)), (std::vector<double>{1, 4, 7}));
  EXPECT_EQ(b.slice(v, 0, {}, {}), v);
}

TEST_F(BuilderTest, ScopesAndScalarsAreShared) {
  ScopeId root = b.enter("a", {});
  EXPECT_EQ(root, 0);
  ScopeId a = b.scope();
  b.enter("a.b", {});
  EXPECT_NE(b.scope(), a);
  b.leave(root);
  b.enter("a", {});
  EXPECT_EQ(b.scope(), a);
  EXPECT_EQ(graph.scopes.size(), 3u);
  HostFormula lr{{{HostFormula::Op::variable, 0, 0}}}, t{{{HostFormula::Op::variable, 0, 1}}};
  EXPECT_EQ(b.add_scalar({"lr", lr}), b.add_scalar({"rate", lr}));
  EXPECT_NE(b.add_scalar({"lr", lr}), b.add_scalar({"t", t}));
  EXPECT_THROW(b.add_tensor({"w", {DType::f32, {1}}, Role::slot}), InternalError);
  b.add_tensor({"w", {DType::f32, {1}}, Role::output});
}

TEST_F(BuilderTest, FaultsAreAtTheUsersPlace) {
  struct Case {
    std::function<void()> build;
    std::string text;
    std::vector<std::string> lines;
  };
  ValueId big = test::leaf(b, "big", {128, 64}, false), wide = test::leaf(b, "wide", {32}, true);
  ValueId number = b.constant(1);
  const Case cases[] = {
      {[&] { b.binary(OpCode::add, big, wide); },
       "the shapes of the two sides of `+` do not fit",
       {"left   [128, 64]", "right       [32]"}},
      {[&] { b.matmul(x, x); }, "matmul: the left side has 4 columns, the right side 3 rows", {"left   [3, 4]", "right  [3, 4]"}},
      {[&] { b.matmul(x, number); }, "matmul needs vectors or matrices, not a single number", {"left   [3, 4]", "right      []"}},
      {[&] { b.reshape(x, {5, -1}); }, "reshape: 12 elements do not fill the shape", {"expected  [5, -1]", "found      [3, 4]"}},
      {[&] { b.reshape(x, {-1, -1}); }, "reshape: only one extent may be -1", {}},
      {[&] { b.reshape(x, {0, 12}); }, "reshape: an extent must be at least 1, or -1 for the rest, found 0", {}},
      {[&] { b.broadcast_to(wide, {4, 16}, false); },
       "this shape cannot be repeated to the one needed",
       {"expected  [4, 16]", "found        [32]"}},
      {[&] { b.permute(x, {0}); }, "permute: the shape [3, 4] has 2 axes, 1 named", {}},
      {[&] { b.permute(x, {0, 0}); }, "permute: axis 0 is named twice", {}},
      {[&] { b.transpose(x, 0, 2); }, "transpose: axis 2 does not exist: the shape is [3, 4]; the batch is not counted", {}},
      {[&] { b.slice(x, 0, 2, 1); }, "slice: nothing lies from 2 to 1 on an axis of 3", {}},
      {[&] { b.slice(x, 0, {}, {}, 0); }, "slice: the step must be at least 1, found 0", {}},
      {[&] { b.pad(x, {{0, -1}, {0, 0}}, 0); }, "pad: a width is negative; slice takes elements away", {}},
      {[&] { b.concat({x, w}, 1); }, "concat: the shapes differ beside the joined axis", {"expected  [3, 4]", "found     [4, 5]"}},
      {[&] { b.reduce(OpCode::reduce_sum, x, std::vector<int64_t>{1, -1}, false, false); }, "dim 1 is named twice", {}},
      {[&] { b.reduce(OpCode::reduce_sum, number, std::vector<int64_t>{0}, false, false); }, "dim: a single number has no axes", {}},
      {[&] { b.take(x, i); }, "take: the table must be the same for all samples; pick chooses within a sample", {}},
      {[&] { b.take(w, x); }, "take: the index must be whole numbers, found f32", {}},
      {[&] {
         b.pick(x, i, 0);
         b.pick(x, i, 1);
       },
       "pick: the index has another shape than the values without the axis",
       {"expected  [3]", "found     [4]"}},
      {[&] { b.broadcast_to(number, {1 << 20, 1 << 20, 2}, false); }, "a tensor of shape [1048576, 1048576, 2] is too large", {}},
      {[&] { b.iota(0); }, "arange needs at least one element, 0 asked", {}},
      {[&] { b.store(graph.find_tensor("w"), x); }, "`w` is shared by all samples, but its new value differs from sample to sample", {}},
      {[&] { b.store(graph.find_tensor("w"), wide); }, "the new value of `w` has another shape", {"expected  [4, 5]", "found       [32]"}},
  };
  b.at({1, 2, 3, 4});
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    try {
      c.build();
      ADD_FAILURE() << "no error";
    } catch (const SpecError& e) {
      EXPECT_EQ(e.what(), c.text);
      EXPECT_EQ(e.diagnostic.lines, c.lines);
      EXPECT_EQ(e.diagnostic.loc, (Loc{1, 2, 3, 4}));
    }
  }
  verify(graph);
}

}  // namespace
}  // namespace mlc
