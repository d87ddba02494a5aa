// From the effective spec to plain settings.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/base/schema.h"
#include "compiler/model/model.h"
#include "compiler/spec/node.h"
#include "runtime/data/settings.h"
#include "runtime/train/generate.h"
#include "runtime/train/settings.h"

#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// `data` of a spec in the file `path`. Faults go to `diagnostics`.
DataSettings bind_data(const Node& spec, const std::string& path, Diagnostics& diagnostics);
/// `train` and `eval`.
TrainSettings bind_train(const Node& spec, Diagnostics& diagnostics);
/// Metrics that eval.metrics may name.
const std::vector<std::string>& metric_names();
/// "unknown monitor 'val_acc'; ...", or that its metric is not measured.
Diagnostic unknown_monitor(Loc loc, const std::string& name, const std::vector<std::string>& known);
/// `eval.report`: which of confusion_matrix, classification_report, generate.
std::vector<std::string> bind_reports(const Node& spec);
/// The settings of `generate` in `eval.report`; nothing without it. Without a prompt the text begins with a line end, or
/// with the first token where there is none.
std::optional<GenerateSettings> bind_generate(const Node& spec, const Schema& schema, Diagnostics& diagnostics);

/// Reports what the length of the run and the values of the data tell of an elaborated spec. The outputs that are measured go into
/// `settings.outputs`.
void check_run(const Node& spec, const Model& model, TrainSettings& settings, const Schema& schema, Diagnostics& diagnostics);

}  // namespace mlc
