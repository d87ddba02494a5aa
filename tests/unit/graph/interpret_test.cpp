#include "tests/unit/graph/harness.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/philox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace mlc {
namespace {

using testing::ElementsAre;
constexpr float kNan = NAN, kInf = INFINITY;

/// Values of an op on shared constants of these dtypes.
std::vector<float> apply(OpCode code, std::vector<std::vector<double>> in, DType dtype = DType::f32) {
  Graph graph = test::graph_of_batch(1);
  Builder b(graph);
  std::vector<ValueId> operands;
  for (auto& values : in) {
    Shape shape{static_cast<int64_t>(values.size())};
    operands.push_back(b.tensor_constant(std::move(values), shape, dtype));
  }
  ValueId y = b.add(code, operands, {});
  return test::evaluate<float>(graph)[y].data;
}

TEST(Interpret, ArithmeticOfCorners) {
  EXPECT_THAT(apply(OpCode::mod, {{5, -5, 5, -5}, {3, 3, -3, -3}}), ElementsAre(2, 1, -1, -2));
  EXPECT_THAT(apply(OpCode::floordiv, {{5, -5, 5, -5}, {3, 3, -3, -3}}), ElementsAre(1, -2, -2, 1));
  EXPECT_THAT(apply(OpCode::floordiv, {{7, -7, 1}, {2, 2, 0}}, DType::i32), ElementsAre(3, -4, 0));
  EXPECT_THAT(apply(OpCode::mod, {{7, -7, 5}, {2, 2, 0}}, DType::i32), ElementsAre(1, 1, 5));
  EXPECT_THAT(apply(OpCode::round, {{0.5, 1.5, 2.5, -0.5, -1.2}}), ElementsAre(0, 2, 2, -0.0f, -1));
  EXPECT_THAT(apply(OpCode::sign, {{-3, 0, 4}}), ElementsAre(-1, 0, 1));
  EXPECT_TRUE(std::isnan(apply(OpCode::sign, {{kNan}})[0]));
  for (OpCode code : {OpCode::max, OpCode::min}) {
    EXPECT_TRUE(std::isnan(apply(code, {{kNan}, {1}})[0]));
    EXPECT_TRUE(std::isnan(apply(code, {{1}, {kNan}})[0]));
  }
  EXPECT_THAT(apply(OpCode::neg, {{-2147483648.0}}, DType::i32), ElementsAre(-2147483648.0f));
  EXPECT_THAT(apply(OpCode::lt, {{1, 2, kNan}, {2, 1, 1}}), ElementsAre(1, 0, 0));
  EXPECT_THAT(apply(OpCode::isnan, {{kNan, kInf, 0}}), ElementsAre(1, 0, 0));
}

TEST(Interpret, FloatResultsAreRoundedOnce) {
  EXPECT_EQ(apply(OpCode::add, {{0.1f}, {0.2f}})[0], 0.1f + 0.2f);
  EXPECT_EQ(apply(OpCode::div, {{1}, {3}})[0], 1.0f / 3.0f);
  EXPECT_EQ(apply(OpCode::exp, {{1.5}})[0], static_cast<float>(std::exp(1.5)));
  EXPECT_EQ(apply(OpCode::rsqrt, {{3}})[0], 1.0f / std::sqrt(3.0f));
}

TEST(Interpret, CastsTruncateAndSaturate) {
  Graph graph = test::graph_of_batch(1);
  Builder b(graph);
  ValueId x = b.tensor_constant({1.9, -1.9, 300, kNan, 1e20, 0}, {6});
  ValueId whole = b.cast(x, DType::i32), byte = b.cast(x, DType::u8), flag = b.cast(x, DType::boolean),
          half = b.cast(b.constant(1.00390625), DType::bf16);
  ValueId low = b.cast(b.tensor_constant({300, -1}, {2}, DType::i32), DType::u8);
  auto values = test::evaluate<double>(graph);
  EXPECT_THAT(values[whole].data, ElementsAre(1, -1, 300, 0, 2147483647, 0));
  EXPECT_THAT(values[byte].data, ElementsAre(1, 0, 255, 0, 255, 0));
  EXPECT_THAT(values[flag].data, ElementsAre(1, 1, 1, 1, 1, 0));
  EXPECT_THAT(values[low].data, ElementsAre(44, 255));
  EXPECT_EQ(test::evaluate<float>(graph)[half].data[0], 1.0f);  // halfway, to even
}

TEST(Interpret, ReductionsPropagateNotANumber) {
  Graph graph = test::graph_of_batch(1);
  Builder b(graph);
  ValueId x = b.tensor_constant({1, 3, 3, kNan, 7, 5}, {2, 3});
  const std::vector<int64_t> last{1};
  ValueId top = b.reduce(OpCode::reduce_max, x, last, false, false), least = b.reduce(OpCode::reduce_min, x, last, false, false);
  ValueId first = b.argmax(x, 1, false), product = b.reduce(OpCode::reduce_prod, x, last, false, false), sums = b.cumsum(x, 1);
  auto values = test::evaluate<float>(graph);
  EXPECT_EQ(values[top].data[0], 3);
  EXPECT_TRUE(std::isnan(values[top].data[1]));
  EXPECT_EQ(values[least].data[0], 1);
  EXPECT_TRUE(std::isnan(values[least].data[1]));
  EXPECT_THAT(values[first].data, ElementsAre(1, 0));
  EXPECT_EQ(values[product].data[0], 9);
  EXPECT_EQ(values[sums].data[2], 7);
}

TEST(Interpret, ContractsEveryKindOfLabel) {
  // out[b, m, o] = sum over i of x[b, i, m] y[o, b, i], against the plain loops.
  Graph graph = test::graph_of_batch(2);
  Builder b(graph);
  ValueId x = b.uniform({19, 3}, 1, true), y = b.uniform({21, 5, 19}, 2, true);
  ValueId wide = b.broadcast_to(x, {5, 19, 3}, false);
  ValueId z = b.add(OpCode::contract, {wide, y}, {.labels = "cim,oci->cmo"});
  auto values = test::evaluate<double>(graph);
  for (size_t c = 0; c < 5; ++c)
    for (size_t m = 0; m < 3; ++m)
      for (size_t o = 0; o < 21; ++o) {
        double sum = 0;
        for (size_t i = 0; i < 19; ++i) sum += values[x].data[i * 3 + m] * values[y].data[(o * 5 + c) * 19 + i];
        ASSERT_DOUBLE_EQ(values[z].data[(c * 3 + m) * 21 + o], sum);
      }
}

TEST(Interpret, RandomNumbersAreOfTheirIndex) {
  Graph graph = test::graph_of_batch(3);
  Builder b(graph);
  ValueId own = b.uniform({2, 3}, 9, false), shared = b.normal({4}, 9, true);
  auto single = test::evaluate<float>(graph);
  auto twice = test::evaluate<double>(graph);
  EXPECT_EQ(single[own].data[1 * 6 + 5], philox_uniform(philox_word(7, 9, 3, 1, 5)));
  EXPECT_EQ(twice[own].data[2 * 6 + 1], static_cast<double>(philox_uniform(philox_word(7, 9, 3, 2, 1))));
  EXPECT_EQ(twice[shared].data[3], philox_normal(7, 9, 3, 0, 3));
}

TEST(Interpret, ReadsRowsAndWritesState) {
  Graph graph = test::graph_of_batch(2);
  Builder b(graph);
  ValueId x = test::leaf(b, "x", {2}, false, DType::u8), w = test::leaf(b, "w", {2}, true);
  TensorId column = graph.find_tensor("x"), weight = graph.find_tensor("w");
  b.output("y", b.binary(OpCode::mul, x, w));
  b.store(weight, b.binary(OpCode::add, w, b.reduce(OpCode::reduce_sum, x, std::vector<int64_t>{}, false, true)));
  const unsigned char bytes[] = {1, 2, 3, 4, 250, 255};
  const int32_t rows[] = {2, 0};
  std::map<TensorId, Array<float>> state{{weight, {{DType::f32, {2}}, {10, 100}}}};
  StepInput<float> input;
  input.columns = {{column, bytes}};
  input.rows = rows;
  input.state = &state;
  auto outputs = interpret(graph, input);
  EXPECT_THAT(outputs.at(graph.find_tensor("y")).data, ElementsAre(2500, 25500, 10, 200));
  EXPECT_THAT(state.at(weight).data, ElementsAre(261, 357));  // readers saw the state of before
}

TEST(Interpret, IndicesOutsideAreAnErrorOfTheData) {
  Graph graph = test::graph_of_batch(1);
  Builder b(graph);
  b.enter("embedding1", {});
  b.take(b.constant(1, DType::f32, {3}), b.constant(3, DType::i32));
  try {
    test::evaluate<float>(graph);
    ADD_FAILURE();
  } catch (const RuntimeError& e) {
    EXPECT_STREQ(e.what(), "index 3 is outside 0..2 in `embedding1`: look for a wrong label or class count in the data");
  }
}

}  // namespace
}  // namespace mlc
