// The loss of a training step, and what it says about the meaning of the output.
#pragma once
#include "compiler/model/evaluator.h"
#include "compiler/spec/node.h"

namespace mlc {

/// The loss (`train.loss`: a name, {type, ...}, or a formula over `names`) as one shared number. A per-sample loss must
/// be one number and is averaged over the batch; a shared one is used as it is. Sets Context::loss_uses.
/// kNoValue where it hangs on a fault that has been reported.
ValueId build_loss(const Node& loss, Evaluator& evaluator, Env& names);

/// Throws SpecError where the loss is no formula, or names none.
void check_loss_name(const Node& loss, Library& library);

/// What the raw output predicts: the value of the loss's `predict` formula and its meaning; kNoValue where it has none.
struct Predicted {
  Prediction prediction;
  ValueId value = kNoValue;
};
Predicted build_prediction(const LossUse& use, Evaluator& evaluator, ValueId output);

}  // namespace mlc
