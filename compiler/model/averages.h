// Averages of the weights that a training step keeps (`train.ema`).
#pragma once
#include "compiler/model/evaluator.h"
#include "compiler/model/update_settings.h"

namespace mlc {

/// Appends to a step, behind all of its updates, the new averages `ema.<path>` of the parameters that they have trained: one
/// average a parameter, whichever updates train it, that moves once at each step that does. An average starts as the value that
/// the run starts from (the runtime sees to that), so that what thaws later has been averaged while it was frozen; the first
/// step that an update trains the parameter at replaces it, as in torch.optim.swa_utils.AveragedModel.
void average_parameters(const UpdateSetting& update, Evaluator& evaluator);

}  // namespace mlc
