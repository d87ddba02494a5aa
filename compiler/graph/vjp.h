// The derivative of one op, as new ops of the same graph.
#pragma once
#include "compiler/graph/builder.h"

#include <vector>

namespace mlc {

/// Cotangents of the operands of `y`, whose own cotangent is g; kNoValue where `wanted` is false or where the op has no
/// derivative. `wanted` has one entry per operand and is false for operands that are not floats.
std::vector<ValueId> operand_cotangents(Builder& builder, ValueId y, ValueId g, const std::vector<bool>& wanted);

/// False for ops that are constant for the derivative (VJP_NONE).
bool is_differentiable(OpCode code);

}  // namespace mlc
