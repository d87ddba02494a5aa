// Groups to loop nests. Every group has a generic lowering; templates (the contraction tile) only make it faster and must
// agree with it bit by bit.
#pragma once
#include "compiler/loops/ir.h"
#include "compiler/plan/plan.h"

#include <vector>

namespace mlc::loops {

/// What an argument buffer of a kernel is; the place follows from the plan.
struct ArgRef {
  enum class Kind : uint8_t {
    value,       ///< in the arena: `value`
    state,       ///< `tensor`, in the state arena
    column,      ///< a dataset column: `tensor` of Role::input
    rows,        ///< row numbers of the step's batch
    output       ///< `tensor` of Role::output, in the step's results
  } kind = Kind::value;
  ValueId value = kNoValue;
  TensorId tensor = -1;
  bool operator==(const ArgRef&) const = default;
};

struct Lowered {
  Kernel kernel;
  std::vector<ArgRef> args;     ///< of the kernel's argument buffers, in order
  std::string contraction;      ///< of a tiled contraction: what its tiling is known by in a Tuning; else empty
  std::vector<Tiling> tilings;  ///< of a tiled contraction: worth measuring, the cost model's choice first
};

/// Requires a fused graph with layouts and its plan (results made in place are the argument of their operand). `templates` false: the
/// generic form only.
Lowered lower(const Graph& graph, const Group& group, const Plan& plan, const Target& target, bool templates = true);

}  // namespace mlc::loops
