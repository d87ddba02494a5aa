// What `mlc check --grad` compares: derivatives of the losses and of the user's own definitions, appended to a graph of
// GraphKind::gradient.
#pragma once
#include "compiler/model/evaluator.h"
#include "compiler/model/update_settings.h"

namespace mlc {

/// The loss of an update by each parameter that it trains and reaches.
void loss_gradients(const UpdateSetting& update, ValueId loss, Evaluator& evaluator, GradientGraph& out);
/// Each use of the user's definitions by its arguments; functions without one are called on random samples.
void definition_gradients(Evaluator& evaluator, GradientGraph& out);

}  // namespace mlc
