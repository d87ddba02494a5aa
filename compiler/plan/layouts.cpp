// Layout assignment: batch panels for per-sample values, feature panels for the vector operand of weight gradients.
#include "compiler/base/diagnostics.h"
#include "compiler/plan/axes.h"
#include "compiler/plan/plan.h"

#include <algorithm>

namespace mlc {
namespace {

// Axes in order, `blocked` first: [blocked / 16][others...][16].
Layout panels(size_t rank, size_t blocked) {
  Layout l;
  l.order.push_back(static_cast<int8_t>(blocked));
  for (size_t i = 0; i < rank; ++i)
    if (i != blocked) l.order.push_back(static_cast<int8_t>(i));
  l.blocked = static_cast<int8_t>(blocked);
  l.block = kLanes;
  return l;
}

class Assigner {
public:
  explicit Assigner(Graph& graph) : graph_(graph), remap_(graph.ops.size()) {}

  void run() {
    std::vector<Op> old = std::move(graph_.ops);
    graph_.ops.clear();
    for (ValueId id = 0; id < old.size(); ++id) {
      Op op = old[id];
      for (ValueId& in : op.in) in = remap_[in];
      if (op.per_sample) op.layout = panels(op.type.shape.size(), 0);
      if (op.code == OpCode::contract || is_special(op.code))
        for (ValueId& in : op.in) in = in_memory(in);
      if (op.code == OpCode::take && is_inline(graph_.ops[op.in[0]].code) && graph_.ops[op.in[0]].code != OpCode::state) op.in[0] = copy(op.in[0], {});
      if (op.code == OpCode::contract && !op.per_sample) feed_weight_gradient(op);
      graph_.ops.push_back(std::move(op));
      remap_[id] = static_cast<ValueId>(graph_.ops.size() - 1);
    }
    for (Store& s : graph_.stores) {
      s.value = remap_[s.value];
      // Scatters write to the arena alone.
      if (is_inline(graph_.ops[s.value].code) || graph_.ops[s.value].code == OpCode::take_grad) s.value = copy(s.value, graph_.ops[s.value].layout);
    }
  }

private:
  // A gradient of shared weights sums over the batch. Its vectors run along the last axis of the result, so the operand
  // that has this axis is wanted with 16 neighbours of it side by side: in feature panels.
  void feed_weight_gradient(Op& op) {
    ContractLabels labels = parse_labels(op.attr.labels);
    if (labels.out.empty()) return;
    char lane = labels.out.back();
    size_t which = labels.b.find(lane) != std::string::npos ? 1 : 0;
    const std::string& text = which ? labels.b : labels.a;
    if ((which ? labels.a : labels.b).find(lane) != std::string::npos) return;
    if (!graph_.ops[op.in[which]].per_sample) return;
    op.in[which] = in_layout(op.in[which], panels(text.size(), text.find(lane)));
  }

  // Contractions and gathers read per-sample operands many times: index maps and inputs are written out first.
  ValueId in_memory(ValueId value) {
    const Op& op = graph_.ops[value];
    return op.per_sample && is_inline(op.code) ? in_layout(value, op.layout, true) : value;
  }

  ValueId copy(ValueId value, const Layout& layout) {
    Op op = graph_.ops[value];
    op.code = OpCode::copy;
    op.attr = {};
    op.in = {value};
    op.layout = layout;
    return append(std::move(op));
  }

  ValueId append(Op op) {
    graph_.ops.push_back(std::move(op));
    return static_cast<ValueId>(graph_.ops.size() - 1);
  }

  // The value in another layout: cheap elementwise chains on inputs are computed again, all else is copied.
  ValueId in_layout(ValueId value, const Layout& layout, bool as_copy = false) {
    std::pair key{value, layout.blocked};
    if (auto it = made_.find(key); it != made_.end()) return it->second;
    ValueId made = !as_copy && is_cheap_chain(value) ? clone(value, layout) : copy(value, layout);
    return made_[key] = made;
  }

  // At most a few elementwise ops without transcendental functions on leaves: dearer to move than to compute.
  bool is_cheap_chain(ValueId value, int depth = 0) const {
    const Op& op = graph_.ops[value];
    if (depth > 6) return false;
    if (op.code == OpCode::uniform || op.code == OpCode::normal) return false;
    if (is_inline(op.code) && op.code != OpCode::reshape && op.code != OpCode::slice)
      return op.in.empty() || is_cheap_chain(op.in[0], depth + 1);
    if (!is_elementwise(op.code) || (is_expensive(op.code) && op.code != OpCode::div)) return false;
    return std::all_of(op.in.begin(), op.in.end(), [&](ValueId in) { return is_cheap_chain(in, depth + 1); });
  }

  ValueId clone(ValueId value, const Layout& layout) {
    Op op = graph_.ops[value];
    if (!op.per_sample) return value;
    std::pair key{value, layout.blocked};
    if (auto it = made_.find(key); it != made_.end()) return it->second;
    for (ValueId& in : op.in)
      if (is_elementwise(graph_.ops[value].code)) in = clone(in, layout);
    op.layout = layout;
    return made_[key] = append(std::move(op));
  }

  Graph& graph_;
  std::vector<ValueId> remap_;
  std::map<std::pair<ValueId, int>, ValueId> made_;
};

}  // namespace

void assign_layouts(Graph& graph, const Target&) { Assigner(graph).run(); }

int64_t storage_elements(const Type& type, const Layout& layout) {
  int64_t n = type.elements();
  if (layout.blocked < 0) return n;
  int64_t extent = type.shape[static_cast<size_t>(layout.blocked)];
  return n / extent * ((extent + layout.block - 1) / layout.block * layout.block);
}

std::string print_layout(const Layout& layout, size_t rank) {
  if (layout.order.empty() && layout.blocked < 0) return "row-major";
  std::string text;
  for (size_t i = 0; i < rank; ++i) {
    int axis = layout.order.empty() ? static_cast<int>(i) : layout.order[i];
    text += (i ? "," : "") + std::to_string(axis) + (axis == layout.blocked ? "/" + std::to_string(layout.block) : "");
  }
  return text;
}

}  // namespace mlc
