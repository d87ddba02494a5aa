#include "tools/cli/predictions.h"

#include "compiler/base/text.h"
#include "runtime/store/npy.h"
#include "runtime/store/safetensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <ostream>

namespace mlc {
namespace {

// Enough digits to read back.
std::string cell(float v) { return fmt::format("{:.9g}", v); }

const OutputTable* table(const Evaluation& e, const std::string& name) {
  auto it = e.outputs.find(name);
  return it == e.outputs.end() ? nullptr : &it->second;
}

// Columns of a line: names, and the text of a row.
struct Column {
  std::vector<std::string> names;
  const OutputTable* scores;
  std::vector<int32_t> classes;                     // index per row, where the output has classes
  const std::vector<std::string>* labels;
};

}  // namespace

const std::vector<std::string>& Predictions::classes_of(const ModelOutput& output) const {
  static const std::vector<std::string> none;
  const ColumnSchema* column = output.target.empty() ? nullptr : schema_.find(output.target);
  return column && column->meaning == ColumnSchema::Meaning::index ? column->classes : none;
}

Shape Predictions::rows_of(const OutputTable& table) const {
  Shape shape = table.type.shape;
  shape.insert(shape.begin(), evaluation_.rows);
  return shape;
}

// Of each position of a row along the class axis, or of each probability of the positive class.
std::vector<int32_t> Predictions::class_indices(const ModelOutput& output, const OutputTable& probability) const {
  Predicted p;
  p.outputs = std::max<int64_t>(1, output.prediction.classes);
  p.scores = p.outputs > 1 ? axis_last(probability.values, probability.type.shape, output.prediction.axis) : probability.values;
  p.threshold = threshold_;
  return predicted_classes(p);
}

void Predictions::write_csv(std::ostream& out) const {
  std::vector<Column> columns;
  for (const ModelOutput& output : model_.outputs()) {
    std::string prefix = model_.outputs().size() > 1 ? output.name + "." : "";
    const OutputTable* probability = table(evaluation_, output.prefix() + "probability");
    const OutputTable* value = table(evaluation_, output.prefix() + "value");
    Column c{{}, probability ? probability : value ? value : table(evaluation_, output.name), {}, &classes_of(output)};
    if (c.scores->type.shape.size() > 1)
      throw RuntimeError("a row of the result " + (prefix.empty() ? "" : "'" + output.name + "' ") + "is " +
                         format_shape(c.scores->type.shape) + ", no line of CSV: give --output FILE.safetensors" +
                         (prefix.empty() ? " or FILE.npy" : ""));
    int64_t n = c.scores->type.elements();
    bool labelled = probability && !c.labels->empty();
    if (labelled) c.classes = class_indices(output, *probability), c.names.push_back(prefix + "class");
    if (labelled && n == 1) c.names.push_back(prefix + "probability");
    for (int64_t i = 0; i < n && !(labelled && n == 1); ++i)
      c.names.push_back(prefix + (labelled ? (*c.labels)[static_cast<size_t>(i)] : n == 1 ? "value" : "value" + std::to_string(i)));
    columns.push_back(std::move(c));
  }
  std::vector<std::string> names;
  for (const Column& c : columns) names.insert(names.end(), c.names.begin(), c.names.end());
  out << join(names, ",") << "\n";
  for (int64_t r = 0; r < evaluation_.rows; ++r) {
    const char* comma = "";
    for (const Column& c : columns) {
      int64_t n = c.scores->type.elements();
      if (!c.classes.empty()) out << comma << (*c.labels)[static_cast<size_t>(c.classes[static_cast<size_t>(r)])], comma = ",";
      for (int64_t i = 0; i < n; ++i) out << comma << cell(c.scores->values[static_cast<size_t>(r * n + i)]), comma = ",";
    }
    out << "\n";
  }
}

void Predictions::write_tensors(const std::string& path) const {
  std::vector<TensorView> views;
  std::deque<std::vector<int32_t>> labels;
  for (const auto& [name, t] : evaluation_.outputs) views.push_back({name, {DType::f32, rows_of(t)}, t.values.data()});
  for (const ModelOutput& output : model_.outputs()) {
    const OutputTable* probability = table(evaluation_, output.prefix() + "probability");
    if (!probability || classes_of(output).empty()) continue;
    labels.push_back(class_indices(output, *probability));
    Shape shape = rows_of(*probability);
    if (output.prediction.classes > 1) shape.erase(shape.begin() + 1 + output.prediction.axis);
    else if (shape.size() > 1 && shape.back() == 1) shape.pop_back();
    views.push_back({output.prefix() + "class", {DType::i32, shape}, labels.back().data()});
  }
  write_safetensors(path, views);
}

void Predictions::write_npy(const std::string& path) const {
  if (model_.outputs().size() != 1)
    throw RuntimeError(path + " would hold one tensor, and the model has " + std::to_string(model_.outputs().size()) +
                       " outputs: give --output FILE.safetensors");
  const OutputTable& t = evaluation_.outputs.at(model_.outputs()[0].name);
  mlc::write_npy(path, {DType::f32, rows_of(t)}, t.values.data());
}

}  // namespace mlc
