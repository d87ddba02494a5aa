#include "tests/unit/graph/harness.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/host_variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace mlc {
namespace {

using testing::HasSubstr;

struct Broken {
  const char* message;
  std::function<void(Graph&)> harm;
};

/// %0 x, %1 w, %2 contract, %3 max over 1, %4 sum, %5 constant.
Graph sound_graph() {
  Graph graph = test::graph_of_batch(2);
  Builder b(graph);
  ValueId x = test::leaf(b, "x", {3}, false), w = test::leaf(b, "w", {3, 5}, true);
  ValueId y = b.matmul(x, w);
  ValueId top = b.reduce(OpCode::reduce_max, y, std::vector<int64_t>{0}, false, false);
  b.output("loss", b.reduce(OpCode::reduce_sum, top, {}, false, true));
  b.store(graph.find_tensor("w"), b.constant(0, DType::f32, {3, 5}));
  return graph;
}

TEST(Verify, RefusesBrokenGraphs) {
  verify(sound_graph());
  const Broken cases[] = {
      {"an operand does not precede", [](Graph& g) { g.ops[2].in[0] = 2; }},
      {"an operand does not precede", [](Graph& g) { g.ops[2].in[0] = 99; }},
      {"wrong number of operands", [](Graph& g) { g.ops[3].in.clear(); }},
      {"the type must be f32[2, 5], not f32[2, 6]", [](Graph& g) { g.ops[2].type.shape[1] = 6; }},
      {"the value must be per-sample", [](Graph& g) { g.ops[2].per_sample = false; }},
      {"the value must be shared", [](Graph& g) { g.ops[4].per_sample = true; }},
      {"an input has the batch as axis 0", [](Graph& g) { g.batch = 3; }},
      {"extents of one label differ", [](Graph& g) { g.ops[2].attr.labels = "bo,io->bi"; }},
      {"a summed label is in one operand only", [](Graph& g) { g.ops[2].attr.labels = "bi,jo->bo"; }},
      {"a label is repeated", [](Graph& g) { g.ops[2].attr.labels = "bb,io->bo"; }},
      {"the batch must be in front of the result", [](Graph& g) { g.ops[2].attr.labels = "bi,io->ob"; }},
      {"not of the form", [](Graph& g) { g.ops[2].attr.labels = "bi"; }},
      {"dims are outside the shape", [](Graph& g) { g.ops[3].attr.dims = {2}; }},
      {"dims must ascend", [](Graph& g) { g.ops[4].attr.dims = {0, 0}; }},
      {"attribute `axis` is not one of the op's", [](Graph& g) { g.ops[3].attr.axis = 1; }},
      {"no such scope", [](Graph& g) { g.ops[3].scope = 7; }},
      {"no such tensor", [](Graph& g) { g.ops[1].attr.tensor = 12; }},
      {"the tensor's role does not fit", [](Graph& g) { g.ops[1].attr.tensor = 0; }},
      {"a constant needs one value", [](Graph& g) { g.ops[5].attr.values = {1, 2}; }},
      {"of its element type", [](Graph& g) { g.ops[5].type.dtype = DType::u8, g.ops[5].attr.values = {300}; }},
      {"an extent of f32[0] is not positive", [](Graph& g) { g.ops[5].type.shape = {0}; }},
      {"does not fit", [](Graph& g) { g.ops[5].type.shape = {5, 3}; }},
      {"no such value", [](Graph& g) { g.stores[0].value = 77; }},
      {"stored twice", [](Graph& g) { g.stores.push_back(g.stores[0]); }},
      {"inputs are read only", [](Graph& g) { g.stores[0].tensor = 0; }},
      {"state cannot be per-sample", [](Graph& g) { g.tensors.push_back({"s", {DType::f32, {2, 5}}}), g.stores.push_back({3, 2}); }},
      {"two tensors have the path `w`", [](Graph& g) { g.tensors.push_back(g.tensors[1]); }},
      {"a formula has one result", [](Graph& g) { g.scalars.push_back({"s", {}}); }},
      {"an operand is missing", [](Graph& g) { g.scalars.push_back({"s", {{{HostFormula::Op::add}}}}); }},
      {"no such variable", [](Graph& g) { g.scalars.push_back({"s", {{{HostFormula::Op::variable, 0, kHostState}}}}); }},
      {"the batch must be positive", [](Graph& g) { g.batch = 0; }},
  };
  for (const Broken& broken : cases) {
    Graph graph = sound_graph();
    broken.harm(graph);
    try {
      verify(graph);
      ADD_FAILURE() << "accepted: " << broken.message;
    } catch (const InternalError& e) {
      EXPECT_THAT(e.what(), HasSubstr(broken.message));
    }
  }
}

TEST(Verify, SharedAndPerSampleValuesStayApart) {
  Graph graph = test::graph_of_batch(2);
  Builder b(graph);
  ValueId x = test::leaf(b, "x", {3}, false), s = test::leaf(b, "s", {2, 3}, true);
  EXPECT_THROW(b.add(OpCode::add, {x, s}, {}), InternalError);
  EXPECT_THROW(b.add(OpCode::transpose, {x}, {.dims = {1, 0}}), InternalError);
  EXPECT_THROW(b.add(OpCode::slice, {x}, {.begin = {0, 0}, .end = {1, 3}, .step = {1, 1}}), InternalError);
  EXPECT_THROW(b.add(OpCode::concat, {x, x}, {.axis = 0}), InternalError);
  EXPECT_THROW(b.add(OpCode::cumsum, {x}, {.axis = 0}), InternalError);
  EXPECT_THROW(b.add(OpCode::argmax, {x}, {.dims = {0}}), InternalError);
  EXPECT_THROW(b.add(OpCode::broadcast, {s}, {.dims = {0, 1}}, Type{DType::f32, {2, 3}}, true), InternalError);
  EXPECT_THROW(b.add(OpCode::take, {x, x}, {}), InternalError);
}

TEST(Graph, UsersAreListedOnce) {
  Graph graph = sound_graph();
  Builder b(graph);
  b.binary(OpCode::mul, 4, 4);
  auto users = graph.users();
  EXPECT_THAT(users[0], testing::ElementsAre(2));
  EXPECT_THAT(users[4], testing::ElementsAre(6));
  EXPECT_TRUE(users[6].empty());
}

}  // namespace
}  // namespace mlc
