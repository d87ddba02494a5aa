// Which new values of state the step itself reads, and who reads the old ones.
#include "compiler/plan/axes.h"
#include "compiler/plan/plan.h"

namespace mlc {

StateUse find_state_use(const Graph& graph) {
  StateUse out;
  Users users = graph.users();
  std::map<TensorId, ValueId> overwritten;
  for (const Store& s : graph.stores) {
    if (graph.tensors[static_cast<size_t>(s.tensor)].role == Role::output) continue;
    overwritten[s.tensor] = s.value;
    const Op& op = graph.ops[s.value];
    if (!users[s.value].empty() && !is_inline(op.code) && op.layout == Layout{}) out.resident.emplace(s.value, s.tensor);
  }
  if (overwritten.empty()) return out;
  for (ValueId id = 0; id < graph.ops.size(); ++id) {
    if (is_inline(graph.ops[id].code)) continue;
    for (const Source& s : sources_of(graph, id)) {
      const Op& op = graph.ops[s.value];
      if (auto it = op.code == OpCode::state ? overwritten.find(op.attr.tensor) : overwritten.end(); it != overwritten.end()) out.old_readers[it->second].push_back(id);
    }
  }
  return out;
}

}  // namespace mlc
