#include "tools/cli/evaluation.h"

#include "compiler/spec/spec.h"
#include "runtime/train/metrics.h"
#include "tools/cli/bind.h"

#include <algorithm>

namespace mlc {
namespace {

const std::vector<std::string> kReports = {"confusion_matrix", "classification_report", "generate"};
const std::vector<std::string> kPlannedReports = {"curves", "roc_curve", "pr_curve", "calibration", "worst", "predictions", "samples"};

// An entry is a name, or a map of one name to its settings.
const Node& name_of(const Node& item) { return item.is(Node::Kind::map) && item.entries.size() == 1 ? item.entries[0].first : item; }

void check_metric(const Node& item, const Schema& schema, Diagnostics& diagnostics) {
  const Node& name = name_of(item);
  if (!std::count(metric_names().begin(), metric_names().end(), name.text)) return;   // reported where settings are read
  bool any = false, classes = false, numbers = false;
  int64_t most = 0, k = 0;
  Loc loc = name.loc;
  if (item.is(Node::Kind::map) && item.entries[0].second.is(Node::Kind::integer))
    k = item.entries[0].second.integer(), loc = item.entries[0].second.loc;
  for (const ColumnSchema& c : schema.columns) {
    any |= c.target;
    if (c.target) most = std::max(most, static_cast<int64_t>(c.classes.size()));
    classes |= c.target && c.meaning == ColumnSchema::Meaning::index;
    numbers |= c.target && c.meaning == ColumnSchema::Meaning::number;
  }
  bool of_classes = is_class_metric(name.text);
  if (!any) diagnostics.error(name.loc, "metric '" + name.text + "' needs a target; the data have none");
  else if (of_classes && !classes)
    diagnostics.error(name.loc, "metric '" + name.text + "' needs a class target; for numbers there are mae, rmse, r2, mape");
  else if (name.text == "top_k" && k > most)
    diagnostics.error(loc, "top_k of " + std::to_string(k) + " always holds: the target has " + std::to_string(most) + " classes");
  else if (!of_classes && !numbers)
    diagnostics.error(name.loc, "metric '" + name.text + "' needs a number target; for classes there are accuracy, f1, ...");
}

void check_report(const Node& name, const Schema& schema, Diagnostics& diagnostics) {
  bool classes = std::any_of(schema.columns.begin(), schema.columns.end(),
                             [](const ColumnSchema& c) { return c.target && c.meaning == ColumnSchema::Meaning::index; });
  if (std::count(kPlannedReports.begin(), kPlannedReports.end(), name.text))
    diagnostics.error(name.loc, "report '" + name.text + "' is not supported by this version yet");
  else if (!std::count(kReports.begin(), kReports.end(), name.text))
    diagnostics.report(unknown_name(name.loc, "report", name.text, kReports));
  else if (name.text == "generate" && schema.vocabulary.empty())
    diagnostics.error(name.loc, "report 'generate' needs a text: data of 'reader: text'");
  else if (name.text != "generate" && !classes) diagnostics.error(name.loc, "report '" + name.text + "' needs a class target");
}

}  // namespace

void check_evaluation(const Node& spec, const Schema& schema, Diagnostics& diagnostics) {
  const Node* eval = spec.find("eval");
  if (!eval || !eval->is(Node::Kind::map) || schema.columns.empty()) return;
  if (const Node* metrics = eval->find("metrics"))
    for (const Node& item : metrics->items) check_metric(item, schema, diagnostics);
  if (const Node* reports = eval->find("report"))
    for (const Node& item : reports->items) check_report(name_of(item), schema, diagnostics);
}

}  // namespace mlc
