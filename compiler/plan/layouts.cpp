// Layout assignment: batch panels for per-sample values, feature panels for the vector operand of weight gradients.
#include "compiler/base/diagnostics.h"
#include "compiler/graph/rewriter.h"
#include "compiler/graph/window.h"
#include "compiler/plan/attention.h"
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

// The axis of each per-sample value whose neighbours lie side by side: the samples, or the tokens of each sample where
// attention multiplies samples by themselves (a contraction that keeps the samples of both operands has no lanes there),
// or where 16 samples would mostly be padding.
class LaneAxes {
public:
  explicit LaneAxes(const Graph& graph) : graph_(graph), axis_(graph.ops.size(), kUnknown) {
    if (!by_token(graph)) return;
    for (ValueId id = 0; id < graph.ops.size(); ++id)
      if (graph.ops[id].per_sample || graph.ops[id].code == OpCode::broadcast) axis_[id] = follow(id);
  }

  size_t of(ValueId id) const { return axis_[id] > 0 ? static_cast<size_t>(axis_[id]) : 0; }

  static bool by_token(const Graph& graph) {
    bool tokens = false, batched = false;
    for (const Op& op : graph.ops) {
      if (op.code == OpCode::input) tokens |= of_input(op) > 0;
      if (op.code != OpCode::contract || !op.per_sample) continue;
      batched |= graph.ops[op.in[0]].per_sample && graph.ops[op.in[1]].per_sample;
    }
    int64_t padded = (graph.batch + kLanes - 1) / kLanes * kLanes;
    return tokens && (batched || 4 * padded > 5 * graph.batch);
  }

private:
  static constexpr int kUnknown = -1;

  static int of_input(const Op& op) {
    const Shape& shape = op.type.shape;
    bool sequence = op.per_sample && (shape.size() == 3 || (shape.size() == 2 && !is_float(op.type.dtype)));
    return sequence && shape[1] >= kLanes ? 1 : kUnknown;
  }

  int follow(ValueId id) const {
    const Op& op = graph_.ops[id];
    if (op.in.empty()) return op.code == OpCode::input ? of_input(op) : kUnknown;
    int from = axis_[op.in[0]];
    switch (op.code) {
    case OpCode::contract: return of_contraction(op);
    case OpCode::take: return axis_[op.in[1]];
    case OpCode::resample:
    case OpCode::resample_grad: return kUnknown;
    case OpCode::transpose:
      for (size_t i = 0; from > 0 && i < op.attr.dims.size(); ++i)
        if (op.attr.dims[i] == from) return static_cast<int>(i);
      return kUnknown;
    case OpCode::broadcast:
      return from > 0 && graph_.type(op.in[0]).shape[static_cast<size_t>(from)] > 1
                 ? static_cast<int>(op.attr.dims[static_cast<size_t>(from)])
                 : kUnknown;
    case OpCode::reshape:
      return from > 0 ? through_reshape(graph_.type(op.in[0]).shape, op.type.shape, static_cast<size_t>(from)) : kUnknown;
    default: break;
    }
    if (is_window(op.code)) return kUnknown;
    if (is_reducing(op.code)) {
      if (from <= 0) return kUnknown;
      int gone = 0;
      for (int64_t d : op.code == OpCode::pick ? std::vector<int64_t>{op.attr.axis} : op.attr.dims) {
        if (d == from) return kUnknown;
        gone += d < from;
      }
      return from - gone;
    }
    for (ValueId in : op.in)
      if (axis_[in] > 0 && graph_.type(in).shape.size() == op.type.shape.size()) return axis_[in];
    return kUnknown;
  }

  // The first axis of the result that is the lane axis of an operand; the tokens of a gradient whose operands sum theirs
  // away are the last axis but one of the features' side.
  int of_contraction(const Op& op) const {
    ContractLabels labels = parse_labels(op.attr.labels);
    int best = kUnknown;
    for (size_t o = 0; o < 2; ++o) {
      int axis = axis_[op.in[o]];
      if (axis <= 0) continue;
      size_t at = labels.out.find((o ? labels.b : labels.a)[static_cast<size_t>(axis)]);
      if (at != std::string::npos && at > 0 && (best < 0 || static_cast<int>(at) < best)) best = static_cast<int>(at);
    }
    if (best > 0 || labels.out.size() < 3) return best;
    for (size_t i = 1; i + 1 < labels.out.size(); ++i)
      if (op.type.shape[i] >= kLanes) return static_cast<int>(i);
    return kUnknown;
  }

  static int through_reshape(const Shape& from, const Shape& to, size_t axis) {
    int64_t before = 1;
    for (size_t i = 0; i < axis; ++i) before *= from[i];
    for (size_t i = 0; i < to.size(); ++i) {
      if (before == 1 && to[i] == from[axis] && i > 0) return static_cast<int>(i);
      if (before % to[i]) return kUnknown;
      before /= to[i];
    }
    return kUnknown;
  }

  const Graph& graph_;
  std::vector<int> axis_;
};

// Axes in their order, one of them in blocks: [..., n / 16, ..., 16].
Layout natural(size_t rank, size_t blocked) {
  Layout l;
  for (size_t i = 0; i < rank; ++i) l.order.push_back(static_cast<int8_t>(i));
  l.blocked = static_cast<int8_t>(blocked);
  l.block = kLanes;
  return l;
}

class Assigner {
public:
  explicit Assigner(Graph& graph) : graph_(graph), remap_(graph.ops.size()) {}

  void run(const Target& target, bool attention) {
    LaneAxes lanes(graph_);
    std::set<ValueId> attends;   // contractions that read what they need in blocks of queries
    if (attention)
      for (const Attention& a : find_attention(graph_, target, nullptr))
        for (const auto& [v, waves] : a.waves)
          if (graph_.ops[v].code == OpCode::contract) attends.insert(v);
    std::vector<Op> old = std::move(graph_.ops);
    graph_.ops.clear();
    graph_.ops.reserve(old.size());
    std::vector<int> uses(old.size(), 0);
    for (const Op& op : old)
      for (ValueId in : op.in) ++uses[in];
    for (const Store& s : graph_.stores) ++uses[s.value];
    for (ValueId id = 0; id < old.size(); ++id) {
      Op op = std::move(old[id]);
      for (ValueId& in : op.in) in = remap_[in];
      bool resamples = op.code == OpCode::resample || op.code == OpCode::resample_grad, window = is_window(op.code) || resamples;
      if (op.per_sample) op.layout = natural(op.type.shape.size(), window ? 0 : lanes.of(id));
      // Windows have the samples in lanes on both sides.
      for (size_t i = 0; window && i < (resamples ? 1 : op.in.size()); ++i) op.in[i] = by_sample(op.in[i]);
      // What reads an operand once reads through index maps.
      bool attending = attends.count(id) > 0;
      if (op.code == OpCode::contract || (is_special(op.code) && op.code != OpCode::concat && op.code != OpCode::pad))
        for (ValueId& in : op.in) in = attending && reads_in_place(graph_, in) ? in : in_memory(in);
      if ((op.code == OpCode::take || op.code == OpCode::resample) && is_inline(graph_.ops[op.in[0]].code) &&
          graph_.ops[op.in[0]].code != OpCode::state)
        op.in[0] = copy(op.in[0], {});
      if (op.code == OpCode::contract && !attending && !has_lanes(op)) feed_lanes(op);
      graph_.ops.push_back(std::move(op));
      remap_[id] = static_cast<ValueId>(graph_.ops.size() - 1);
      if (uses[id] == 1) single_.insert(remap_[id]);
    }
    for (Store& s : graph_.stores) {
      s.value = remap_[s.value];
      // Scatters write to the arena alone.
      if (is_inline(graph_.ops[s.value].code) || graph_.ops[s.value].code == OpCode::take_grad ||
          graph_.ops[s.value].code == OpCode::resample_grad)
        s.value = copy(s.value, graph_.ops[s.value].layout);
    }
  }

private:
  // True when one operand alone has the blocked axis of the result, in blocks too.
  bool has_lanes(const Op& op) const {
    if (op.layout.blocked < 0) return false;
    ContractLabels labels = parse_labels(op.attr.labels);
    char lane = labels.out[static_cast<size_t>(op.layout.blocked)];
    size_t a = labels.a.find(lane), b = labels.b.find(lane);
    if ((a == std::string::npos) == (b == std::string::npos)) return false;
    size_t which = a == std::string::npos ? 1 : 0;
    return graph_.ops[op.in[which]].layout.blocked == static_cast<int>(which ? b : a);
  }

  // A gradient of shared weights sums over the batch, one of keys over the queries. Its vectors run along the last axis
  // of the result, so the operand that has this axis is wanted with 16 neighbours of it side by side: in feature panels.
  void feed_lanes(Op& op) {
    ContractLabels labels = parse_labels(op.attr.labels);
    if (labels.out.empty()) return;
    char lane = labels.out.back();
    size_t which = labels.b.find(lane) != std::string::npos ? 1 : 0;
    const std::string& text = which ? labels.b : labels.a;
    if ((which ? labels.a : labels.b).find(lane) != std::string::npos) return;
    if (!graph_.ops[op.in[which]].per_sample) return;
    Layout wanted = panels(text.size(), text.find(lane));
    if (!make_there(op.in[which], wanted)) op.in[which] = in_layout(op.in[which], wanted);
  }

  // F9: an elementwise chain that this contraction alone reads is computed in the panels, not copied to them, if it has one
  // operand in memory: that is read once either way.
  bool make_there(ValueId value, const Layout& layout) {
    const Op& op = graph_.ops[value];
    if (!op.per_sample || !is_elementwise(op.code) || op.code == OpCode::copy || !single_.count(value)) return false;
    std::set<ValueId> operands;
    for (const Source& s : sources_of(graph_, value))
      if (!graph_.ops[s.value].in.empty() || graph_.ops[s.value].code == OpCode::input) operands.insert(s.value);
    if (operands.size() > 1) return false;
    graph_.ops[value].layout = layout;
    for (ValueId in : operands)
      if (std::count(op.in.begin(), op.in.end(), in)) make_there(in, layout);
    return true;
  }

  // Contractions and gathers read per-sample operands many times: index maps and inputs are written out first.
  ValueId in_memory(ValueId value) {
    const Op& op = graph_.ops[value];
    return op.per_sample && is_inline(op.code) ? in_layout(value, op.layout, true) : value;
  }

  ValueId by_sample(ValueId value) {
    const Op& op = graph_.ops[value];
    if (!op.per_sample) return value;
    Layout layout = natural(op.type.shape.size(), 0);
    return op.layout == layout ? in_memory(value) : in_layout(value, layout, true);
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
  std::set<ValueId> single_;       // values with one reader
  std::map<std::pair<ValueId, int>, ValueId> made_;
};

}  // namespace

void assign_layouts(Graph& graph, const Target& target, bool attention) {
  Assigner(graph).run(target, attention);
  separate_old_state(graph);
  drop_dead_ops(graph);
}

bool tokens_in_lanes(const Graph& graph) { return LaneAxes::by_token(graph); }

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
