// Rebuilds a graph op by op, in order, replacing what can be simpler and merging what is equal. Parts of simplify().
#pragma once
#include "compiler/graph/ir.h"

#include <optional>
#include <vector>

namespace mlc {

class Rewriter {
public:
  /// Moves everything but the ops and stores out of `from`.
  explicit Rewriter(Graph& from);

  /// The id of a value equal in all bits to `op`, whose operands are values of this rewriter. Simplifies first.
  ValueId emit(Op op);
  const Op& op(ValueId id) const { return graph_.ops[id]; }
  const Graph& graph() const { return graph_; }
  size_t rewrites() const { return rewrites_; }
  Graph take() { return std::move(graph_); }

  // For rules: new ops at the place of the op that they replace.
  ValueId reshape(const Op& at, ValueId x, Shape shape);
  ValueId broadcast(const Op& at, ValueId x, std::vector<int64_t> dims, Shape shape, bool per_sample);
  ValueId number(const Op& at, double value, DType dtype);

private:
  ValueId merge(Op op);
  void grow_table();

  Graph graph_;
  std::vector<uint64_t> hashes_;        // by value
  std::vector<ValueId> table_;          // open addressing by hash, at most half full; kNoValue: free
  size_t rewrites_ = 0;
};

// The rules: an equal, simpler value, or nothing. Each looks at one op whose operands are already simple.
std::optional<ValueId> fold_constants(Rewriter& rw, const Op& op);
std::optional<ValueId> simplify_elementwise(Rewriter& rw, const Op& op);
std::optional<ValueId> hoist_broadcast(Rewriter& rw, const Op& op);  ///< f(broadcast(x)) = broadcast(f(x))
std::optional<ValueId> simplify_shape(Rewriter& rw, const Op& op);
std::optional<ValueId> fold_transposes(Rewriter& rw, const Op& op);  ///< into a contraction's labels

/// A reshape of a broadcast as the broadcast of a reshape: the operand's new shape and its axes in the result. Nothing
/// when the reshape joins repeated axes with others. `x` is the shape of the broadcast's operand.
struct ReshapedBroadcast {
  Shape operand;
  std::vector<int64_t> dims;
};
std::optional<ReshapedBroadcast> reshape_broadcast(const Op& broadcast, const Shape& x, bool x_per_sample, const Shape& to);

/// reshape(f(x)) = f(reshape(x)) where f is elementwise and only read there, if all leaves below can take the shape for
/// free, or are reshapes from it. Changes the graph in place, leaves are given reshapes; true if anything changed.
bool sink_reshapes(Graph& graph);

/// transpose(contract) = a contraction whose result has its axes in that order, where nothing else reads the
/// contraction: a weight's gradient then lies as the weight does. Changes the graph in place; true if anything changed.
bool turn_contractions(Graph& graph);

/// Drops ops that no store needs; true if there were any.
bool drop_dead_ops(Graph& graph);

}  // namespace mlc
