#include "compiler/graph/rewriter.h"

#include <algorithm>

namespace mlc {
namespace {

class Sinking {
public:
  explicit Sinking(Graph& graph) : graph_(graph), readers_(graph.ops.size(), 0), shape_(graph.ops.size(), nullptr) {
    for (ValueId user = 0; user < graph.ops.size(); ++user)
      for (ValueId operand : distinct_operands(user)) ++readers_[operand];
    for (const Store& store : graph.stores) ++readers_[store.value];
    mark_free();
  }

  bool run() {
    bool any = false;
    // From the outermost inwards: a reshape further in gives way to those around it.
    for (ValueId id = static_cast<ValueId>(graph_.ops.size()); id-- > 0;)
      if (graph_.ops[id].code == OpCode::reshape && !shape_[id]) any |= sink(id);
    if (any) rebuild();
    return any;
  }

private:
  const Op& op(ValueId id) const { return graph_.ops[id]; }
  std::vector<ValueId> distinct_operands(ValueId id) const {
    std::vector<ValueId> in = op(id).in;
    std::sort(in.begin(), in.end());
    in.erase(std::unique(in.begin(), in.end()), in.end());
    return in;
  }

  /// Free values can be had in another shape at no cost: leaves, broadcasts (in some shapes only), and what is computed
  /// elementwise from free values for one reader. A reshape that has just the shape wanted below it is as good.
  void mark_free() {
    free_.resize(graph_.ops.size());
    for (ValueId id = 0; id < graph_.ops.size(); ++id) {
      bool alone = readers_[id] == 1;
      switch (op(id).code) {
      case OpCode::input:
      case OpCode::state:
      case OpCode::constant:
      case OpCode::broadcast: free_[id] = true; break;
      case OpCode::uniform:
      case OpCode::normal: free_[id] = alone; break;
      case OpCode::copy: free_[id] = false; break;
      case OpCode::reshape: free_[id] = alone && free_[op(id).in[0]]; break;
      default:
        free_[id] = alone && is_elementwise(op(id).code);
        for (ValueId operand : op(id).in) free_[id] = free_[id] && (free_[operand] || op(operand).code == OpCode::reshape);
      }
    }
  }

  /// Ops that take the new shape themselves; other free values are read through a reshape.
  bool takes_shape(ValueId id) const {
    OpCode code = op(id).code;
    return is_elementwise(code) || code == OpCode::uniform || code == OpCode::normal || code == OpCode::reshape;
  }

  /// A reshape of a value that has (and will have) the shape `to`: reading it in that shape undoes the reshape.
  bool undoes(ValueId id, const Shape& to) const {
    if (op(id).code != OpCode::reshape) return false;
    ValueId x = op(id).in[0];
    return op(x).type.shape == to && (!shape_[x] || *shape_[x] == to);
  }

  bool sink(ValueId root) {
    ValueId top = op(root).in[0];
    if (!free_[top] || !takes_shape(top) || op(top).code == OpCode::reshape) return false;
    const Shape& to = op(root).type.shape;
    std::vector<ValueId> taken{top}, undone;
    bool possible = true;
    for (size_t next = 0; next < taken.size(); ++next)
      for (ValueId id : distinct_operands(taken[next])) {
        if (undoes(id, to)) undone.push_back(id);
        else if (!free_[id]) possible = false;
        else if (takes_shape(id)) taken.push_back(id);
        else if (op(id).code == OpCode::broadcast) possible &= can_reshape_broadcast(id, to);
      }
    for (ValueId id : taken) {
      if (possible) shape_[id] = &to;
      else free_[id] = false;  // not tried again: each op is walked once
    }
    if (!possible) return false;
    shape_[root] = &to;
    for (ValueId id : undone) free_[op(id).in[0]] = false;  // it keeps its shape
    return true;
  }

  bool can_reshape_broadcast(ValueId id, const Shape& to) const {
    const Op& x = op(op(id).in[0]);
    return reshape_broadcast(op(id), x.type.shape, x.per_sample, to).has_value();
  }

  void rebuild() {
    std::vector<Op> old = std::move(graph_.ops);
    graph_.ops.clear();
    std::vector<ValueId> now(old.size());
    for (ValueId id = 0; id < old.size(); ++id) {
      const Shape* to = shape_[id];
      // Shapes to come point into the reshapes, which stay.
      Op op = old[id].code == OpCode::reshape ? old[id] : std::move(old[id]);
      for (ValueId& operand : op.in) {
        ValueId x = now[operand];
        bool reshaped = to && old[id].code != OpCode::reshape && graph_.ops[x].type.shape != *to;
        operand = reshaped ? reshape(x, *to, old[id]) : x;
      }
      if (to && op.code == OpCode::reshape) {
        now[id] = graph_.ops[op.in[0]].type.shape == *to ? op.in[0] : reshape(op.in[0], *to, old[id]);
        continue;
      }
      if (to) op.type.shape = *to;
      now[id] = static_cast<ValueId>(graph_.ops.size());
      graph_.ops.push_back(std::move(op));
    }
    for (Store& store : graph_.stores) store.value = now[store.value];
  }

  ValueId reshape(ValueId x, Shape shape, const Op& at) {
    Op op;
    op.code = OpCode::reshape;
    op.in = {x};
    op.type = {graph_.ops[x].type.dtype, std::move(shape)};
    op.per_sample = graph_.ops[x].per_sample;
    op.scope = at.scope;
    op.loc = at.loc;
    graph_.ops.push_back(std::move(op));
    return static_cast<ValueId>(graph_.ops.size() - 1);
  }

  Graph& graph_;
  std::vector<uint32_t> readers_;
  std::vector<bool> free_;
  std::vector<const Shape*> shape_;  // the shape that a value is to have, into the ops' types
};

}  // namespace

bool sink_reshapes(Graph& graph) { return Sinking(graph).run(); }

}  // namespace mlc
