#include "tools/cli/measured.h"

#include "compiler/base/text.h"
#include "runtime/train/classification.h"
#include "tools/cli/cli.h"

#include <algorithm>

namespace mlc {

std::string outputs_text(const Model& model) {
  std::vector<std::string> parts;
  for (const ModelOutput& output : model.outputs()) parts.push_back(output.name + " " + format_shape(output.shape));
  return parts.empty() ? "no output" : join(parts, ", ");
}

Columns columns_of(const Dataset& data) {
  Columns out;
  for (size_t i = 0; i < data.columns.size(); ++i) out[data.schema.columns[i].name] = data.columns[i].data();
  return out;
}

int64_t evaluation_cap(const Model& model, const Schema& schema, int64_t training_batch) {
  int64_t numbers = 0;
  for (const ModelOutput& output : model.outputs()) numbers += element_count(output.shape);
  for (const ColumnSchema& c : schema.columns) numbers += c.type.elements();
  return evaluation_cap(numbers, training_batch);
}

namespace {

Truth truth_of(const Dataset& data, const ColumnSchema& column, const std::vector<int32_t>& rows) {
  Truth out;
  out.target = column.name;
  const std::byte* values = data.find(column.name)->data();
  int64_t n = column.type.elements();
  for (int32_t r : rows)
    for (int64_t i = 0; i < n; ++i) {
      int64_t at = r * column.row_pitch() + i;
      switch (column.type.dtype) {
      case DType::f32: out.targets.push_back(reinterpret_cast<const float*>(values)[at]); break;
      case DType::i64: out.labels.push_back(static_cast<int32_t>(reinterpret_cast<const int64_t*>(values)[at])); break;
      case DType::i32: out.labels.push_back(reinterpret_cast<const int32_t*>(values)[at]); break;
      default: out.labels.push_back(static_cast<int32_t>(values[at]));
      }
    }
  return out;
}

}  // namespace

std::vector<std::string> measured_outputs(const Model& model) {
  std::vector<std::string> out;
  for (const ModelOutput& output : model.outputs())
    if (!output.target.empty()) out.push_back(output.name);
  return out;
}

SplitRows truth_of_rows(const Dataset& data, const Model& model, const std::vector<int32_t>& rows) {
  SplitRows out{rows, {}};
  bool several = measured_outputs(model).size() > 1;
  for (const ModelOutput& output : model.outputs()) {
    const ColumnSchema* column = output.target.empty() ? nullptr : data.schema.find(output.target);
    if (!column) continue;
    out.truths.push_back(truth_of(data, *column, rows));
    out.truths.back().output = output.prefix();
    const Prediction& p = output.prediction;
    if (p.kind == Prediction::Kind::probability) out.truths.back().axis = p.classes > 1 ? p.axis : Truth::kEachOne;
    if (several) out.truths.back().metric = output.name + "_";
  }
  return out;
}

std::string class_reports(const Predicted& predicted, const Truth& truth, const Schema& schema, const std::vector<std::string>& reports) {
  const ColumnSchema* column = schema.find(truth.target);
  std::string text, title = truth.metric.empty() ? "" : truth.target + "\n";
  for (const std::string& what : reports) {
    if (what == "confusion_matrix")
      text += "\n" + title + print_confusion(confusion_matrix(predicted), column->classes, std::max(80, terminal_width()));
    if (what == "classification_report") text += "\n" + title + print_classification(confusion_matrix(predicted), column->classes);
  }
  return text;
}

}  // namespace mlc
