// Finds the optimizer's part of a step (fusion rule F12): per parameter the elementwise ops that make its new value and
// slots, and which parameters share one formula.
#pragma once
#include "compiler/plan/plan.h"

namespace mlc {

/// Groups of Form::update, each with all parameters of one formula. Parameters whose update is not a private elementwise
/// chain are left out, with a refusal.
/// Where the state has its places (unless null), the parameters of a group are neighbours there, and so are their slots.
std::vector<Group> find_updates(const Graph& graph, const StateLayout* state, std::vector<Refusal>& refusals);

}  // namespace mlc
