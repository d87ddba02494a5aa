// What is measured of a model on rows of its data.
#pragma once
#include "compiler/model/model.h"
#include "runtime/data/dataset.h"
#include "runtime/train/session.h"

#include <string>
#include <vector>

namespace mlc {

/// "output [10]", or the names and shapes of several outputs.
std::string outputs_text(const Model& model);
/// Resident columns by name.
Columns columns_of(const Dataset& data);
/// Most rows of an evaluation's batch for this model.
int64_t evaluation_cap(const Model& model, const Schema& schema, int64_t training_batch);
/// The outputs that a loss compares with targets. Metrics of several go by `OUTPUT_metric`.
std::vector<std::string> measured_outputs(const Model& model);
/// Rows of a part with the true values of its target, as metrics need them.
SplitRows truth_of_rows(const Dataset& data, const Model& model, const std::vector<int32_t>& rows);
/// The tables that `eval.report` asks for of an output with classes.
std::string class_reports(const Predicted& predicted, const Truth& truth, const Schema& schema, const std::vector<std::string>& reports);

}  // namespace mlc
