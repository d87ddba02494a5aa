// From the effective spec to plain settings.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/node.h"
#include "runtime/data/settings.h"
#include "runtime/train/settings.h"

namespace mlc {

/// `data` of a spec in the file `path`. Faults go to `diagnostics`.
DataSettings bind_data(const Node& spec, const std::string& path, Diagnostics& diagnostics);
/// `train` and `eval`.
TrainSettings bind_train(const Node& spec, Diagnostics& diagnostics);
/// `eval.report`: which of confusion_matrix, classification_report.
std::vector<std::string> bind_reports(const Node& spec);

}  // namespace mlc
