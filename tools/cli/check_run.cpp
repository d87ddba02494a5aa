#include "runtime/train/session.h"
#include "tools/cli/bind.h"
#include "tools/cli/measured.h"

#include <algorithm>

namespace mlc {
namespace {

// A monitor that is not measured would do nothing, silently. Which outputs are measured, the model tells.
void check_monitors(const Node& train, const Model& model, TrainSettings settings, Diagnostics& diagnostics) {
  settings.outputs = measured_outputs(model);
  if (settings.outputs.size() == 1) settings.outputs.clear();
  const std::vector<std::string> known = settings.monitors();
  for (const char* key : {"early_stopping", "checkpoint"}) {
    const Node* section = train.find(key);
    const Node* named = section && section->is(Node::Kind::map) ? section->find("monitor") : nullptr;
    if (named && named->origin != Origin::implied && std::find(known.begin(), known.end(), named->text) == known.end())
      diagnostics.report(unknown_monitor(named->loc, named->text, known));
  }
}

}  // namespace

void check_run(const Node& spec, const Model& model, const TrainSettings& settings, const Schema& schema, Diagnostics& diagnostics) {
  const Node* data = spec.find("data");
  for (const std::string& feature : schema.leaks) {
    Loc loc = data->loc;
    for (const char* key : {"target", "columns"})
      if (const Node* n = data->find(key)) loc = n->loc;
    const Node* columns = data->find("columns");
    for (size_t i = 0; columns && i < columns->items.size(); ++i)
      if (columns->items[i].text == feature) loc = columns->items[i].loc;
    diagnostics.warning(loc, "target-in-features",
                        "the feature '" + feature + "' tells the target of every row; leave it out of 'columns'");
  }
  if (const Node* train = spec.find("train")) check_monitors(*train, model, settings, diagnostics);
  if (schema.train_rows == 0 || !spec.find("train")) return;
  if (settings.drop_last && schema.train_rows < settings.batch_size)
    throw SpecError(spec.find("train")->find("drop_last")->loc,
                    "drop_last leaves nothing to train on: there are " + std::to_string(schema.train_rows) +
                        " training rows, fewer than batch_size " + std::to_string(settings.batch_size));
  StepCounts counts = count_steps(settings, schema.train_rows);
  int64_t tail = schema.train_rows % settings.batch_size;
  if (settings.drop_last || schema.train_rows < settings.batch_size) tail = 0;
  model.check_steps({.steps_per_epoch = counts.per_epoch, .total_steps = counts.total, .tail = tail}, diagnostics);
}

}  // namespace mlc
