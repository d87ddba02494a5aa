// Update rules appended to a training step.
#pragma once
#include "compiler/model/evaluator.h"
#include "compiler/model/update_settings.h"

namespace mlc {

/// The optimizer's rate as written, `lr`. That of the first update is the variable of schedules.
double optimizer_rate(const UpdateSetting& update, Evaluator& evaluator);

/// Appends to the graph the gradient of `loss` with respect to the parameters that update `index` trains, clipping and the
/// optimizer's step; the parameters have their new values from here on. Rates of other updates follow the schedule in
/// proportion to `base_rate`. Slots become tensors `optimizer.<slot>.<path>`, or `optimizer.<update>.<slot>.<path>` where an
/// earlier update trains the same parameter. With `accumulate` gradients are added up, times their batch's rows, in
/// `optimizer.<update>.accumulated.<path>`: by steps that `gather` and do no more, and the others divide by the rows of all.
/// What it trains goes to Context::trained, parameters that the loss does not reach to Context::unreached.
void build_update(const std::vector<UpdateSetting>& updates, size_t index, double base_rate, ValueId loss, bool gather,
                  Evaluator& evaluator);

}  // namespace mlc
