#include "compiler/graph/not_finite.h"

#include "compiler/graph/evaluate.h"

#include <algorithm>
#include <cmath>

namespace mlc {

std::optional<NotFinite> first_not_finite(const Graph& graph, const StepInput<float>& input) {
  Frame<float> frame{graph, input};
  std::vector<Array<float>> values(graph.ops.size());
  std::vector<bool> known(graph.ops.size()), finite(graph.ops.size(), true);
  for (ValueId id = 0; id < graph.ops.size(); ++id) {
    const Op& op = graph.ops[id];
    Operands<float> in;
    for (ValueId operand : op.in) in.push_back(&values[operand]);
    if (op.part != StepPart::forward || std::any_of(op.in.begin(), op.in.end(), [&](ValueId v) { return !known[v]; })) continue;
    values[id] = evaluate_op(frame, op, in);
    known[id] = true;
    auto bad = std::find_if(values[id].data.begin(), values[id].data.end(), [](float x) { return !std::isfinite(x); });
    finite[id] = bad == values[id].data.end();
    if (!finite[id] && op.code != OpCode::constant && std::all_of(op.in.begin(), op.in.end(), [&](ValueId v) { return finite[v]; }))
      return NotFinite{id, *bad};
  }
  return std::nullopt;
}

}  // namespace mlc
