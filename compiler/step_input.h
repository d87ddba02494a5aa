// What the interpreter takes of a run: its state, and the scalars of a step.
#pragma once
#include "compiler/graph/graph.h"
#include "compiler/plan/plan.h"
#include "runtime/device.h"

#include <map>

namespace mlc {

/// Tensors that are neither inputs nor outputs, from where `layout` says. All are f32.
std::map<TensorId, Array<float>> read_state(const Graph& graph, const StateLayout& layout, const SharedState& state);
/// Step and seed, as Feed::scalars begins.
void read_step(const float* scalars, StepInput<float>& input);

}  // namespace mlc
