// Attention in one kernel a direction (rule F16) against the f64 interpreter, against itself over lanes and threads,
// against its generic form, and against the same ops in groups of their own: the same sums in the same order, so the same bits.
#include "tests/unit/compile/attention.h"
#include "tests/unit/compile/differential.h"

#include <algorithm>

namespace mlc {
namespace {

using Case = AttentionShape;

int attentions(const Graph& graph, const Target& target) {
  CompileOptions o;
  o.target = target;
  const Grouping grouping = compile(graph, o).grouping;
  return static_cast<int>(
      std::count_if(grouping.groups.begin(), grouping.groups.end(), [](const Group& g) { return g.form == Form::attention; }));
}

void check(const Case& c, int groups) {
  Graph g = attention_step(c);
  Differential d(g, 2, 11, 4, 0.3);
  d.target.l2 = 24 << 10;            // below the scores
  ASSERT_EQ(attentions(g, d.target), groups);
  Outcome first = d.compiled(16, 1);
  d.near(first, d.reference(), 2e-4);
  EXPECT_TRUE(Differential::same_bits(first, d.compiled(16, 2, {"templates"}))) << "generic lowering";
  EXPECT_TRUE(Differential::same_bits(first, d.compiled(16, 2, {"attention"}))) << "scores in memory";
  EXPECT_TRUE(Differential::same_bits(first, d.compiled(8, 2))) << "8 lanes, 2 threads";
  EXPECT_TRUE(Differential::same_bits(first, d.compiled(4, 3))) << "4 lanes, 3 threads";
}

TEST(Attention, ForwardAlone) { check({.gradient = false}, 1); }
TEST(Attention, WholeBlocksAndGradient) { check({.batch = 3, .tokens = 48}, 2); }
TEST(Attention, RestOfABlock) { check({.batch = 3, .tokens = 41, .features = 5}, 2); }
TEST(Attention, Causal) { check({.batch = 3, .tokens = 48, .causal = true}, 2); }
TEST(Attention, CausalWithRest) { check({.batch = 3, .tokens = 41, .features = 20, .causal = true}, 2); }
TEST(Attention, Dropout) { check({.batch = 3, .causal = true, .dropout = 0.25}, 2); }
TEST(Attention, RotaryPositions) { check({.batch = 3, .causal = true, .rotary = true}, 2); }
TEST(Attention, OneHead) { check({.batch = 5, .heads = 1, .tokens = 48, .features = 17, .causal = true}, 2); }

// The bias' gradient sums what the backward pass makes of the scores: they are read elsewhere, so nothing is joined.
TEST(Attention, BiasOfScores) { check({.batch = 3, .bias = true}, 0); }
TEST(Attention, BiasOfScoresForward) { check({.batch = 3, .gradient = false, .bias = true}, 1); }

}  // namespace
}  // namespace mlc
