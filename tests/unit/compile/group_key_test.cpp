// Groups that are lowered once for all of their structure: the program is that of lowering each.
#include "compiler/compile.h"
#include "compiler/loops/group_key.h"
#include "tests/unit/compile/attention.h"
#include "tests/unit/compile/mlp.h"
#include "tests/unit/compile/random_graph.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

namespace mlc {
namespace {

// Equal layers in a row, each a product, a reduction with a division behind it, random numbers, and a sum with what came in. All
// parameters are trained; the last layer is narrower where `narrow` says so.
Graph stack(int layers, bool narrow) {
  constexpr int64_t kWidth = 40;
  Graph g;
  g.name = "stack";
  g.batch = 32;
  Builder b(g);
  ValueId x = b.input(b.add_tensor({"x", {DType::f32, {kWidth}}, Role::input}));
  std::vector<TensorId> tensors;
  std::vector<ValueId> weights;
  for (int i = 0; i < layers; ++i) {
    int64_t out = narrow && i + 1 == layers ? kWidth / 2 : kWidth;
    tensors.push_back(b.add_tensor({"w" + std::to_string(i), {DType::f32, {out, kWidth}}, Role::parameter}));
    weights.push_back(b.state(tensors.back()));
    ValueId y = b.unary(OpCode::tanh, b.matmul(x, b.transpose(weights.back(), 0, 1)));
    y = b.binary(OpCode::div, y, b.reduce(OpCode::reduce_sum, b.unary(OpCode::exp, y), std::vector<int64_t>{-1}, true, false));
    y = b.binary(OpCode::mul, y, b.uniform({out}, 7, false));
    x = out == kWidth ? b.binary(OpCode::add, x, y) : y;
  }
  ValueId loss = b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, x, x), std::nullopt, false, true);
  b.output("loss", loss);
  std::vector<ValueId> gradients = differentiate(g, loss, weights);
  for (size_t i = 0; i < weights.size(); ++i)
    b.store(tensors[i], b.binary(OpCode::sub, weights[i], b.binary(OpCode::mul, gradients[i], b.constant(0.01))));
  return g;
}

using Call = std::tuple<std::string, int64_t, bool, std::vector<std::tuple<Space, int, int64_t>>>;

std::vector<Call> calls(const Compiled& c) {
  std::vector<Call> out;
  for (const Launch& l : c.program.launches) {
    std::vector<std::tuple<Space, int, int64_t>> args;
    for (const ArgPlace& a : l.args) args.emplace_back(a.space, a.index, a.offset);
    out.emplace_back(c.program.kernels[static_cast<size_t>(l.kernel)].name, l.tiles, l.parallel, std::move(args));
  }
  return out;
}

std::set<std::string> keys(const Compiled& c) {
  loops::GroupKeys keys(c.graph, c.plan);
  std::set<std::string> out;
  for (const Group& g : c.grouping.groups)
    if (auto key = keys.of(g)) out.insert(key->text);
  return out;
}

// With `verify` each group is lowered for itself, and compared with what its key promises.
void expect_same(const Graph& graph) {
  CompileOptions one, each;
  each.verify = true;
  Compiled a = compile(graph, one), b = compile(graph, each);
  EXPECT_EQ(calls(a), calls(b)) << graph.name;
}

TEST(GroupKey, OneLoweringGivesTheProgramOfMany) {
  for (bool narrow : {false, true}) expect_same(stack(5, narrow));
  expect_same(mlp_step({.batch = 32, .in = 24, .hidden = 24, .out = 10}));
  expect_same(attention_step({.causal = true, .dropout = 0.1, .bias = true}));
  for (unsigned seed = 1; seed <= 40; ++seed) expect_same(RandomGraph(seed, seed % 4 == 0).make(30));
}

TEST(GroupKey, LayersOfOneStructureShareIt) {
  size_t few = keys(compile(stack(5, false), {})).size();
  Compiled c = compile(stack(25, false), {});
  EXPECT_EQ(keys(c).size(), few);
  EXPECT_GT(c.grouping.groups.size(), 100u);
  EXPECT_GT(keys(compile(stack(5, true), {})).size(), few);
}

// The key of the last group of a graph of two values, changed in one place.
TEST(GroupKey, TellsWhatLoweringSees) {
  auto key = [](OpCode code, int64_t width, double number, bool stored) {
    Graph g;
    g.batch = 16;
    Builder b(g);
    ValueId x = b.input(b.add_tensor({"x", {DType::f32, {width}}, Role::input}));
    ValueId y = b.binary(code, x, b.constant(number));
    b.output("y", y);
    if (stored) b.output("again", y);
    return *keys(compile(std::move(g), {})).begin();
  };
  std::string plain = key(OpCode::mul, 8, 3, false);
  EXPECT_EQ(key(OpCode::mul, 8, 3, false), plain);
  EXPECT_NE(key(OpCode::sub, 8, 3, false), plain);
  EXPECT_NE(key(OpCode::mul, 9, 3, false), plain);
  EXPECT_NE(key(OpCode::mul, 8, 4, false), plain);
  EXPECT_NE(key(OpCode::mul, 8, 3, true), plain);
}

}  // namespace
}  // namespace mlc
