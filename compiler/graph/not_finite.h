// Where a value that is not finite comes from.
#pragma once
#include "compiler/graph/graph.h"

#include <optional>

namespace mlc {

/// An op that gives infinity or no number although all it reads is finite.
struct NotFinite {
  ValueId op = kNoValue;
  float value = 0;            ///< the first such element
};

/// Runs the forward part in the interpreter, in f32, up to the first such op: a leaf (a parameter, an input) or one that computes.
/// Constants are as they were written. Nothing where there is none.
std::optional<NotFinite> first_not_finite(const Graph& graph, const StepInput<float>& input);

}  // namespace mlc
