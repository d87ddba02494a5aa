#include "runtime/train/session.h"
#include "tools/cli/bind.h"
#include "tools/cli/measured.h"

#include <algorithm>

namespace mlc {
namespace {

// A monitor that never has a value would do nothing, silently.
class MonitorCheck {
public:
  MonitorCheck(const Node& train, const Model& model, const TrainSettings& settings, const Schema& schema, Diagnostics& diagnostics)
      : train_(train), model_(model), settings_(settings), schema_(schema), diagnostics_(diagnostics), known_(settings.monitors()) {}

  void sections() const {
    if (settings_.early_stopping) check(settings_.early_stopping->monitor, *train_.find("early_stopping"));
    if (const Node* n = train_.find("checkpoint")) check(settings_.checkpoint.monitor, *n);
  }

  void schedules(const StepCounts& counts) const {
    phases(train_, model_.schedule(counts.per_epoch, counts.total));
    for (const OwnSchedule& own : model_.own_schedules(counts.per_epoch, counts.total))
      phases(train_.find("updates")->entries[static_cast<size_t>(own.update)].second, own.phases);
  }

private:
  void phases(const Node& section, const std::vector<SchedulePhase>& phases) const {
    const Node* schedule = section.find("schedule");
    for (size_t i = 0; i < phases.size(); ++i) check(phases[i].monitor, schedule->is(Node::Kind::list) ? schedule->items[i] : *schedule);
  }

  void check(const std::string& monitor, const Node& section) const {
    if (monitor.empty()) return;
    const Node* named = section.find("monitor");
    Loc loc = named && named->origin != Origin::implied ? named->loc : section.loc;
    if (std::find(known_.begin(), known_.end(), monitor) == known_.end()) diagnostics_.report(unknown_monitor(loc, monitor, known_));
    else if (monitor.starts_with("val_") && schema_.train_rows > 0 && schema_.val_rows == 0)
      diagnostics_.error(loc,
                         "'" + monitor +
                             "' needs validation rows, and the data have none: give 'data.split.val' or 'data.val', or monitor train_loss");
  }

  const Node& train_;
  const Model& model_;
  const TrainSettings& settings_;
  const Schema& schema_;
  Diagnostics& diagnostics_;
  std::vector<std::string> known_;
};

}  // namespace

void check_run(const Node& spec, const Model& model, TrainSettings& settings, const Schema& schema, Diagnostics& diagnostics) {
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
  const Node* train = spec.find("train");
  if (!train) return;
  settings.outputs = measured_outputs(model);
  if (settings.outputs.size() == 1) settings.outputs.clear();
  MonitorCheck monitors(*train, model, settings, schema, diagnostics);
  monitors.sections();
  if (schema.train_rows == 0) return;
  if (settings.drop_last && schema.train_rows < settings.batch_size)
    throw SpecError(train->find("drop_last")->loc, "drop_last leaves nothing to train on: there are " + std::to_string(schema.train_rows) +
                                                       " training rows, fewer than batch_size " + std::to_string(settings.batch_size));
  StepCounts counts = count_steps(settings, schema.train_rows);
  int64_t tail = schema.train_rows % settings.batch_size;
  if (settings.drop_last || schema.train_rows < settings.batch_size) tail = 0;
  model.check_steps({.steps_per_epoch = counts.per_epoch, .total_steps = counts.total, .tail = tail}, diagnostics);
  monitors.schedules(counts);
}

}  // namespace mlc
