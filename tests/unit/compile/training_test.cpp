// A whole training step, compiled in all variants; how its calls, threads and memory are arranged.
#include "tests/unit/compile/differential.h"
#include "tests/unit/compile/mlp.h"

#include <algorithm>
#include <filesystem>

namespace mlc {
namespace {

TEST(Training, SmallStepAgreesEverywhere) { Differential(mlp_step({16, 20, 17, 4}), 3, 1).check(1e-4); }
TEST(Training, OddStepAgreesEverywhere) { Differential(mlp_step({37, 33, 50, 5}), 3, 2).check(1e-4); }
TEST(Training, OneRowAgreesEverywhere) { Differential(mlp_step({1, 9, 5, 4}), 2, 3).check(1e-4); }
TEST(Training, WideStepAgreesEverywhere) { Differential(mlp_step({64, 100, 130, 10}), 2, 4, 10).check(1e-4); }

// Rows, scalars and results move on from step to step within a call.
TEST(Training, BitsDoNotDependOnTheLengthOfACall) {
  Differential d(mlp_step({32, 40, 60, 5}), 5, 6, 5);
  Outcome one = d.compiled(8, 2);
  EXPECT_TRUE(Differential::same_bits(one, d.compiled_by_calls(8, 1)));
  EXPECT_TRUE(Differential::same_bits(one, d.compiled_by_calls(8, 3)));
}

// A step of a network as small as iris's never asks for a second thread; a wider one starts the pool.
TEST(Training, TinyNetworksStartNoThreads) {
  if (!std::filesystem::exists("/proc/self/task")) GTEST_SKIP() << "no list of threads";
  auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
  auto started = [&](const MlpShape& shape, bool parallel) {
    Differential d(mlp_step(shape), 3, 7);
    std::ptrdiff_t more = 0;
    d.run_by(d.options_of(8, {}), [&](const Compiled& c, const Feed& feed, SharedState& state) {
      EXPECT_EQ(std::any_of(c.program.launches.begin(), c.program.launches.end(), [](const Launch& l) { return l.parallel; }), parallel);
      std::unique_ptr<Executable> executable = make_cpu_device({.threads = 4, .use_cache = false})->load(c.program, state);
      std::ptrdiff_t before = threads();
      EXPECT_EQ(executable->run(feed), feed.steps);
      more = threads() - before;
    });
    return more;
  };
  EXPECT_EQ(started({16, 4, 8, 3}, false), 0);
  EXPECT_EQ(started({64, 200, 100, 4}, true), 3);
}

// F12: parameters, each kind of slot and the gradients lie side by side, so that the optimizer is one flat loop over each.
TEST(Training, OptimizerWalksOneFlatArena) {
  Compiled c = compile(mlp_step({16, 20, 17, 4}), {});
  std::vector<const Group*> updates;
  for (const Group& g : c.grouping.groups)
    if (g.form == Form::update) updates.push_back(&g);
  ASSERT_EQ(updates.size(), 1u);
  const std::vector<UpdateMember>& members = updates[0]->members;
  ASSERT_EQ(members.size(), 4u);
  auto place = [&](TensorId t) { return c.state.offsets.at(c.graph.tensors[static_cast<size_t>(t)].path); };
  int64_t at = 0;
  for (const UpdateMember& m : members) {
    EXPECT_EQ(place(m.parameter), place(members[0].parameter) + at);
    ASSERT_EQ(m.slots.size(), 2u);
    for (size_t s = 0; s < m.slots.size(); ++s) EXPECT_EQ(place(m.slots[s]), place(members[0].slots[s]) + at);
    ASSERT_EQ(m.externals.size(), 1u);
    EXPECT_EQ(c.plan.offset_of(m.externals[0]), c.plan.offset_of(members[0].externals[0]) + at);
    at += aligned(c.graph.tensors[static_cast<size_t>(m.parameter)].type.bytes());
  }
  // One kernel with four arguments, whatever the number of parameters.
  auto step = std::find_if(c.plan.steps.begin(), c.plan.steps.end(),
                           [&](const Step& s) { return &c.grouping.groups[static_cast<size_t>(s.group)] == updates[0]; });
  EXPECT_EQ(c.program.launches[static_cast<size_t>(step - c.plan.steps.begin())].args.size(), 4u);
}

// The gradient of an embedding: threads own columns of the table, so repeated indices add in index order for any number of them.
TEST(Training, EmbeddingGradientIsSharedOutByColumns) {
  Graph g;
  g.name = "embedding";
  g.batch = 40;
  Builder b(g);
  TensorId table_t = b.add_tensor({"table", {DType::f32, {300, 80}}, Role::parameter});
  ValueId table = b.state(table_t), picked = b.take(table, b.input(b.add_tensor({"i", {DType::i32, {6}}, Role::input})));
  ValueId loss =
      b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, picked, b.input(b.add_tensor({"x", {DType::f32, {6, 80}}, Role::input}))),
               std::nullopt, false, true);
  b.store(table_t, b.binary(OpCode::sub, table, differentiate(g, loss, {table})[0]));
  Compiled c = compile(g, {});
  bool shared = false;
  for (size_t i = 0; i < c.plan.steps.size(); ++i) {
    const Group& group = c.grouping.groups[static_cast<size_t>(c.plan.steps[i].group)];
    if (c.graph.ops[group.anchor].code == OpCode::take_grad) shared = c.program.launches[i].parallel && c.program.launches[i].tiles == 5;
  }
  EXPECT_TRUE(shared);
  Differential d(std::move(g), 2, 8, 3);   // 240 indices of 3 rows
  d.check(1e-4);
}

}  // namespace
}  // namespace mlc
