#include "tests/unit/graph/harness.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/host_variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlc {
namespace {

using F = HostFormula::Op;

/// A graph that uses every kind of line and attribute.
Graph rich_graph() {
  Graph graph = test::graph_of_batch(4);
  graph.name = "train \"b4\"\\\x01";
  Builder b(graph);
  graph.host_state = {{"optimizer.b1 power", 1, {{{F::variable, 0, kHostState}, {F::number, 0.9}, {F::mul}}}},
                      {"t", -0.5, {{{F::variable, 0, 1}}}}};
  ValueId x = test::leaf(b, "x", {6}, false, DType::u8);
  graph.tensors.back().pitch = 2;
  b.enter("model.linear1", {});
  ValueId w = test::leaf(b, "model.linear1.weight", {5, 6}, true);
  ValueId y = b.matmul(b.binary(OpCode::div, x, b.constant(255)), b.transpose(w, 0, 1));
  b.enter("loss", {});
  y = b.concat({y, b.pad(b.slice(y, 0, 1, 4, 2), {{1, 2}}, -0.0)}, 0);
  y = b.binary(OpCode::add, y, b.uniform({10}, 0xFFFFFFFFu, false));
  y = b.binary(OpCode::mul, y, b.cumsum(b.tensor_constant({1e-320, -INFINITY, NAN, 0.1, -0.0, 1, 2, 3, 4, 5}, {10}), 0));
  ValueId loss = b.reduce(OpCode::reduce_sum, b.reduce(OpCode::reduce_max, y, std::vector<int64_t>{0}, false, false), {}, false, true);
  // select(min(lr, -3), -(t) , not (k < 2)) / b1 + (t ** 2 if 1 else 0)
  HostFormula formula{{{F::variable, 0, 0},
                       {F::number, -3},
                       {F::min},
                       {F::variable, 0, 1},
                       {F::neg},
                       {F::variable, 0, 2},
                       {F::number, 2},
                       {F::lt},
                       {F::not_},
                       {F::select},
                       {F::variable, 0, kHostState},
                       {F::div},
                       {F::variable, 0, kHostState + 1},
                       {F::log1p},
                       {F::and_}}};
  loss = b.binary(OpCode::mul, loss, b.scalar(b.add_scalar({"rate", formula})));
  b.output("loss", loss);
  std::vector<ValueId> gradient = differentiate(graph, loss, {w});
  b.store(graph.find_tensor("model.linear1.weight"), gradient[0]);
  b.output("class", b.argmax(y, 0, false));
  graph.ops.back().group = 3;
  return graph;
}

TEST(Text, PrintedGraphsParseBack) {
  Graph graph = rich_graph();
  verify(graph);
  std::string text = print_graph(graph);
  Graph again = test::parse(text);
  EXPECT_EQ(print_graph(again), text);
  ASSERT_EQ(again.ops.size(), graph.ops.size());
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const Op &a = graph.ops[i], &c = again.ops[i];
    EXPECT_EQ(a.code, c.code);
    EXPECT_EQ(a.in, c.in);
    EXPECT_EQ(a.type, c.type);
    EXPECT_EQ(a.per_sample, c.per_sample);
    EXPECT_EQ(a.group, c.group);
    EXPECT_EQ(graph.scopes[static_cast<size_t>(a.scope)].path, again.scopes[static_cast<size_t>(c.scope)].path);
    EXPECT_TRUE(a.attr == c.attr || a.attr.values.size() > 1) << i;  // a list holds nan
  }
  EXPECT_EQ(again.name, graph.name);
  ASSERT_EQ(again.scalars.size(), 1u);
  const auto &f = graph.scalars[0].formula.steps, &g = again.scalars[0].formula.steps;
  ASSERT_EQ(f.size(), g.size());
  for (size_t i = 0; i < f.size(); ++i) {
    EXPECT_EQ(f[i].op, g[i].op) << i;
    EXPECT_EQ(f[i].value, g[i].value) << i;
    EXPECT_EQ(f[i].index, g[i].index) << i;
  }
  EXPECT_EQ(again.host_state[1].path, "t");
  EXPECT_EQ(again.host_state[1].init, -0.5);
}

TEST(Text, CommentsAndBlankLinesAreSkipped) {
  Graph graph =
      test::parse("// RUN: something\n\n; a remark\ngraph \"g\" batch=2\n  ; another\n%0 = constant values=[1] : f32[]  ; here\n");
  ASSERT_EQ(graph.ops.size(), 1u);
  EXPECT_EQ(graph.scopes[1].path, "here");
}

struct Fault {
  const char* text;
  uint32_t line, col;
  const char* message;
};

TEST(Text, FaultsAreReportedAtTheirPlace) {
  const std::string head = "graph \"g\" batch=2\ntensor @0 input \"x\" u8[3]\n";
  const Fault faults[] = {
      {"%1 = input tensor=@0 : u8[2, 3] sample", 3, 2, "number 0 expected"},
      {"%0 = inputs tensor=@0 : u8[2, 3] sample", 3, 6, "`inputs` is not an op"},
      {"%0 = input tensor=0 : u8[2, 3] sample", 3, 19, "`@` expected"},
      {"%0 = input tensor=@0 : u9[2, 3] sample", 3, 24, "`u9` is not an element type"},
      {"%0 = input tensor=@0 : u8[2, 3 sample", 3, 32, "`]` expected"},
      {"%0 = input tensor=@0 : u8[2, 3] sample x", 3, 40, "nothing more expected"},
      {"%0 = input tensor=@1 : u8[2, 3] sample", 3, 6, "%0 = input: no such tensor"},
      {"%0 = input tensor=@0 : u8[2, 4] sample", 3, 6, "%0 = input: an input's shape must hold one row per sample"},
      {"%0 = input tensor=@0 : u8[2, 3]", 3, 6, "%0 = input: the value must be per-sample"},
      {"%0 = neg %0 : f32[]", 3, 6, "%0 = neg: an operand does not precede the op"},
      {"%0 = add : f32[]", 3, 6, "%0 = add: wrong number of operands"},
      {"nonsense", 3, 1, "`nonsense`: a line is a tensor, host, scalar, store or %value"},
      {"tensor @1 weight \"w\" f32[]", 3, 11, "`weight` is not a role"},
      {"tensor @1 parameter \"w f32[]", 3, 21, "the text has no closing quote"},
      {"scalar #0 \"s\" = (lr + )", 3, 23, "a number, a variable or a call expected"},
      {"scalar #0 \"s\" = (lr ? 2)", 3, 21, "an operator expected"},
      {"store @0 %0", 3, 11, "store to `x`: no such value"},
  };
  for (const Fault& fault : faults) {
    SCOPED_TRACE(fault.text);
    try {
      test::parse(head + fault.text + "\n");
      ADD_FAILURE() << "no error";
    } catch (const SpecError& e) {
      EXPECT_STREQ(e.what(), fault.message);
      EXPECT_EQ(e.diagnostic.loc.line, fault.line);
      EXPECT_EQ(e.diagnostic.loc.col, fault.col);
    }
  }
  EXPECT_THROW(test::parse(""), SpecError);
  EXPECT_THROW(test::parse("graph \"g\" batch=0"), SpecError);
}

TEST(Text, EveryPrefixAndCutIsAnErrorAndNoCrash) {
  std::string text = print_graph(rich_graph());
  for (size_t i = 0; i < text.size(); ++i) {
    for (std::string cut : {text.substr(0, i), text.substr(0, i) + text.substr(i + 1), text.substr(0, i) + "9" + text.substr(i)}) {
      try {
        test::parse(cut);
      } catch (const SpecError&) {}
    }
  }
}

}  // namespace
}  // namespace mlc
