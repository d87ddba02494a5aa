// Update rules appended to a training step.
#pragma once
#include "compiler/model/evaluator.h"
#include "compiler/spec/node.h"

namespace mlc {

/// The optimizer's rate as written, `lr`, the variable of schedules.
double optimizer_rate(const Node& train, Evaluator& evaluator);

/// Appends to the graph the gradient of `loss`, clipping, the optimizer's step for every trainable parameter and the
/// stores. Slots become tensors `optimizer.<slot>.<path>`. Warns (no-gradient) of parameters that the loss does not reach.
void build_updates(const Node& train, ValueId loss, Evaluator& evaluator);

}  // namespace mlc
