// What a group asks of the machine, from shapes alone: the ground of explanations, profiles and rooflines.
#pragma once
#include "compiler/plan/plan.h"

namespace mlc {

struct GroupCost {
  double flops = 0;            ///< a multiply-add is two, each elementwise or reducing step on an element one
  int64_t read_bytes = 0;      ///< each value from outside once
  int64_t written_bytes = 0;   ///< values that others read, state and results
  int64_t saved_bytes = 0;     ///< what single kernels would write and read again of values that stay inside
};

GroupCost group_cost(const Graph& graph, const Group& group);

/// Operations of one op on its whole result.
double op_flops(const Graph& graph, ValueId op);

}  // namespace mlc
