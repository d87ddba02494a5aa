// Which new values of state the step itself reads, and who reads the old ones.
#include "compiler/plan/axes.h"
#include "compiler/plan/plan.h"

#include <algorithm>

namespace mlc {
namespace {

// True when an op reads the old value of the tensor and something made from the new one.
bool reads_both(const Graph& graph, TensorId tensor, ValueId value, ValueId last_reader) {
  std::vector<bool> fresh(last_reader + 1, false);
  fresh[value] = true;
  for (ValueId id = value + 1; id <= last_reader; ++id) {
    const Op& op = graph.ops[id];
    fresh[id] = std::any_of(op.in.begin(), op.in.end(), [&](ValueId in) { return fresh[in]; });
    if (!fresh[id] || is_inline(op.code)) continue;
    for (const Source& s : sources_of(graph, id))
      if (graph.ops[s.value].code == OpCode::state && graph.ops[s.value].attr.tensor == tensor) return true;
  }
  return false;
}

}  // namespace

void separate_old_state(Graph& graph) {
  std::map<TensorId, ValueId> last_reader;
  for (ValueId id = 0; id < graph.ops.size(); ++id) {
    if (is_inline(graph.ops[id].code)) continue;
    for (const Source& s : sources_of(graph, id))
      if (graph.ops[s.value].code == OpCode::state) last_reader[graph.ops[s.value].attr.tensor] = id;
  }
  for (Store& s : graph.stores) {
    auto last = last_reader.find(s.tensor);
    if (graph.tensors[static_cast<size_t>(s.tensor)].role == Role::output || last == last_reader.end()) continue;
    if (last->second <= s.value || !reads_both(graph, s.tensor, s.value, last->second)) continue;
    Op op = graph.ops[s.value];
    op.code = OpCode::copy;
    op.attr = {};
    op.in = {s.value};
    graph.ops.push_back(std::move(op));
    s.value = static_cast<ValueId>(graph.ops.size() - 1);
  }
}

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
      if (auto it = op.code == OpCode::state ? overwritten.find(op.attr.tensor) : overwritten.end(); it != overwritten.end())
        out.old_readers[it->second].push_back(id);
    }
  }
  return out;
}

}  // namespace mlc
