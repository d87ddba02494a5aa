// Learning rate schedules as host formulas.
#pragma once
#include "compiler/model/evaluator.h"
#include "compiler/spec/node.h"

#include <vector>

namespace mlc {

/// A length as written, "500 steps", "30 epochs", "5%" (of `total`), in optimizer steps.
struct Duration {
  double steps = 0;
  bool in_epochs = false;
};
/// Throws SpecError where the text is none of these; a bare number is told its two readings.
Duration read_duration(const std::string& text, int64_t steps_per_epoch, double total, Loc loc, const std::string& key);

/// The `schedule` of `train` or of an update (a name, {type, ...}, or a list of phases with `for`), for a run of so many
/// steps. Without one: empty.
std::vector<SchedulePhase> build_schedule(const Node& section, int64_t steps_per_epoch, int64_t total_steps, double base_rate,
                                          Evaluator& evaluator);

}  // namespace mlc
