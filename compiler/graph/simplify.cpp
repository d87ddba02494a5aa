#include "compiler/graph/graph.h"
#include "compiler/graph/rewriter.h"

#include <algorithm>

namespace mlc {
namespace {

bool rewrite(Graph& graph) {
  Rewriter rw(graph);
  std::vector<ValueId> now(graph.ops.size());
  for (ValueId id = 0; id < graph.ops.size(); ++id) {
    Op op = std::move(graph.ops[id]);
    for (ValueId& operand : op.in) operand = now[operand];
    now[id] = rw.emit(std::move(op));
  }
  std::vector<Store> stores = std::move(graph.stores);
  for (Store& store : stores) store.value = now[store.value];
  bool changed = rw.rewrites() > 0;
  graph = rw.take();
  graph.stores = std::move(stores);
  return changed;
}

}  // namespace

bool drop_dead_ops(Graph& graph) {
  std::vector<bool> live(graph.ops.size(), false);
  for (const Store& store : graph.stores) live[store.value] = true;
  for (ValueId id = static_cast<ValueId>(graph.ops.size()); id-- > 0;)
    if (live[id])
      for (ValueId operand : graph.ops[id].in) live[operand] = true;
  std::vector<ValueId> now(graph.ops.size());
  ValueId next = 0;
  for (ValueId id = 0; id < graph.ops.size(); ++id) {
    if (!live[id]) continue;
    now[id] = next;
    for (ValueId& operand : graph.ops[id].in) operand = now[operand];
    if (next != id) graph.ops[next] = std::move(graph.ops[id]);
    ++next;
  }
  bool any = next != graph.ops.size();
  graph.ops.resize(next);
  for (Store& store : graph.stores) store.value = now[store.value];
  return any;
}

bool turn_contractions(Graph& graph) {
  Users users = graph.users();
  bool changed = false;
  for (Op& op : graph.ops) {
    if (op.code != OpCode::transpose || graph.ops[op.in[0]].code != OpCode::contract || users[op.in[0]].size() != 1) continue;
    const Op& contract = graph.ops[op.in[0]];
    bool stored = std::any_of(graph.stores.begin(), graph.stores.end(), [&](const Store& s) { return s.value == op.in[0]; });
    if (stored || (op.per_sample && op.attr.dims[0] != 0)) continue;
    ContractLabels labels = parse_labels(contract.attr.labels);
    std::string out;
    for (int64_t axis : op.attr.dims) out += labels.out[static_cast<size_t>(axis)];
    op.code = OpCode::contract;
    op.attr = contract.attr;
    op.attr.labels = labels.a + "," + labels.b + "->" + out;
    op.in = contract.in;
    changed = true;
  }
  return changed;
}

void simplify(Graph& graph) {
  // One round opens few chances for the next: two to four are enough, the bound is for safety.
  constexpr int kMaxRounds = 16;
  drop_dead_ops(graph);
  for (int round = 0; round < kMaxRounds; ++round) {
    bool changed = sink_reshapes(graph);
    changed |= turn_contractions(graph);
    changed |= rewrite(graph);
    if (!drop_dead_ops(graph) && !changed) return;
  }
}

}  // namespace mlc
