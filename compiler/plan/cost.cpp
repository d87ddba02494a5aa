#include "compiler/plan/cost.h"

#include "compiler/graph/window.h"
#include "compiler/plan/axes.h"

#include <algorithm>
#include <set>

namespace mlc {
namespace {

int64_t bytes_of(const Graph& graph, ValueId v) {
  const Op& op = graph.ops[v];
  return storage_elements(op.type, op.layout) * dtype_bytes(op.type.dtype);
}

}  // namespace

double op_flops(const Graph& graph, ValueId id) {
  const Op& op = graph.ops[id];
  if (is_inline(op.code) || op.code == OpCode::copy) return 0;
  if (op.code == OpCode::contract) {
    ContractLabels labels = parse_labels(op.attr.labels);
    double points = static_cast<double>(op.type.elements());
    const Shape& a = graph.type(op.in[0]).shape;
    for (size_t i = 0; i < labels.a.size(); ++i)
      if (labels.out.find(labels.a[i]) == std::string::npos) points *= static_cast<double>(a[i]);
    return 2 * points;
  }
  if (is_window(op.code)) {
    WindowShape w = window_shape(graph, op);
    double pairs = is_convolution(op.code) ? 2 * static_cast<double>(w.channels / w.groups) : 1;
    return pairs * static_cast<double>(w.samples * w.results * w.outputs()) * static_cast<double>(w.taps());
  }
  return static_cast<double>(is_reducing(op.code) ? graph.type(op.in[0]).elements() : op.type.elements());
}

GroupCost group_cost(const Graph& graph, const Group& group) {
  GroupCost cost;
  std::set<ValueId> inside(group.body.begin(), group.body.end());
  for (ValueId v : group.body) cost.flops += op_flops(graph, v);
  for (ValueId v : group.reads) {
    const Op& op = graph.ops[v];
    if (op.in.empty() && op.code != OpCode::state && op.code != OpCode::input) continue;   // made where it is read
    cost.read_bytes += bytes_of(graph, v);
  }
  std::set<ValueId> written(group.writes.begin(), group.writes.end());
  for (ValueId v : group.writes) cost.written_bytes += bytes_of(graph, v);
  for (ValueId v : group.body) {
    std::set<ValueId> once;
    for (const Source& s : sources_of(graph, v))
      if (inside.count(s.value) && once.insert(s.value).second) cost.saved_bytes += bytes_of(graph, s.value);
    if (!written.count(v)) cost.saved_bytes += bytes_of(graph, v);
  }
  return cost;
}

}  // namespace mlc
