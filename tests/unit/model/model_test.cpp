// Specs to graphs: known parameter counts, legal graphs, and training on the interpreter.
#include "compiler/model/model.h"

#include "compiler/graph/graph.h"
#include "compiler/spec/spec.h"
#include "compiler/spec/yaml.h"

#include <gtest/gtest.h>

namespace mlc {
namespace {

Schema table(int64_t features, int classes) {
  ColumnSchema x, y;
  x.name = "x", x.type = {DType::f32, {features}};
  y.name = "y", y.target = true;
  y.type = classes ? Type{DType::i32, {}} : Type{DType::f32, {1}};
  y.meaning = classes ? ColumnSchema::Meaning::index : ColumnSchema::Meaning::number;
  for (int i = 0; i < classes; ++i) y.classes.push_back(std::to_string(i));
  return {"test", {x, y}, {}};
}

struct Built {
  Sources sources;
  Diagnostics faults{sources};
  std::unique_ptr<Model> model;
  Built(const std::string& text, const Schema& schema) {
    Node spec = parse_yaml(sources, sources.add("spec.yaml", text), faults);
    model = elaborate(effective_spec(spec), schema, sources, faults);
  }
};

std::string spec(const std::string& model, const std::string& loss = "cross_entropy") {
  return "data: {}\nmodel: " + model + "\ntrain: {epochs: 1, batch_size: 8, loss: " + loss + ", optimizer: {type: adam, lr: 0.05}}\n";
}

TEST(Model, CountsParameters) {
  EXPECT_EQ(Built(spec("[{linear: 16}, relu, {linear: 8}, relu, {linear: 3}]"), table(4, 3)).model->parameter_count(), 243);
  EXPECT_EQ(Built(spec("[{linear: 64}, relu, {linear: 32}, relu, {linear: 1}]", "bce_with_logits"), table(30, 2)).model->parameter_count(),
            4097);
  EXPECT_EQ(Built(spec("[{linear: 500}, relu, {linear: 10}]"), table(784, 10)).model->parameter_count(), 397510);
}

TEST(Model, GraphsAreLegalBeforeAndAfterSimplification) {
  Built b(spec("[{linear: 8}, batch_norm, gelu, {residual: [layer_norm, {linear: 8}, silu]}, {dropout: 0.3}, {linear: 3}]"), table(4, 3));
  ASSERT_TRUE(b.model) << b.faults.render();
  for (GraphKind kind : {GraphKind::train, GraphKind::eval, GraphKind::predict})
    for (int64_t batch : {2, 16}) {
      Graph g = b.model->build(kind, batch);
      verify(g);
      simplify(g);
      verify(g);
    }
}

TEST(Model, TrainingLowersTheLoss) {
  Built b(spec("[{linear: 8}, tanh, {linear: 3}]"), table(4, 3));
  ASSERT_TRUE(b.model) << b.faults.render();
  Graph g = b.model->build(GraphKind::train, 8);
  std::map<TensorId, Array<double>> state;
  for (const StateTensor& t : b.model->state()) {
    std::vector<float> start(static_cast<size_t>(t.tensor.type.elements()));
    initialize(t.init, t.tensor.path, 1, DType::f32, t.tensor.type.elements(), start.data());
    state[g.find_tensor(t.tensor.path)] = {t.tensor.type, {start.begin(), start.end()}};
  }
  std::vector<float> x(32);
  std::vector<int32_t> y(8), rows{0, 1, 2, 3, 4, 5, 6, 7};
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 37) % 11) / 5 - 1;
  for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<int32_t>(i % 3);
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    StepInput<double> in;
    in.columns[g.find_tensor("x")] = x.data();
    in.columns[g.find_tensor("y")] = y.data();
    in.rows = rows.data();
    double variables[] = {0.05, step + 1.0, static_cast<double>(step)};
    for (const ScalarRule& rule : g.scalars) in.scalars.push_back(rule.formula.evaluate(variables));
    in.state = &state;
    last = interpret(g, in).begin()->second.data[0];
    if (step == 0) first = last;
  }
  EXPECT_LT(last, first / 3);
}

}  // namespace
}  // namespace mlc
