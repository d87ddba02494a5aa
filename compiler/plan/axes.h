// Which axes of which ops are the same loop. Elementwise ops share their axes with their operands, reductions all but
// the reduced ones; ops that only rearrange indices (inline ops) pass them on.
#pragma once
#include "compiler/graph/ir.h"

#include <map>
#include <set>
#include <vector>

namespace mlc {

/// Ops that make no kernel of their own: leaves, and index maps, which their readers apply when they read.
bool is_inline(OpCode code);
/// Ops with a lowering of their own, never joined with others: cumsum, pad, concat, take_grad.
bool is_special(OpCode code);
/// Reductions as the loop level sees them: a loop over axes that the result does not have. contract and pick included.
bool is_reducing(OpCode code);
/// Too dear to compute twice: transcendental functions, division, roots.
bool is_expensive(OpCode code);

/// The computed value behind a chain of inline ops, or the leaf at its end. `plain` tells whether only broadcasts and
/// transposes lie between (the index of the reader is then the producer's, axis by axis).
struct Source {
  ValueId value = kNoValue;
  bool plain = true;
};
std::vector<Source> sources_of(const Graph& graph, ValueId reader);

/// Loop classes of a set of ops.
struct AxisClasses {
  /// Per op: the class of each of its result's axes.
  std::map<ValueId, std::vector<int>> result;
  /// Per reducing op: the classes of the axes that it sums over. For contractions, in order of the labels of operand a.
  std::map<ValueId, std::vector<int>> reduced;
  /// Per reducing op and operand: classes of the operand's axes.
  std::map<ValueId, std::vector<std::vector<int>>> operands;
  std::vector<int64_t> extent;          ///< of each class

  std::set<int> kept(ValueId op) const { return {result.at(op).begin(), result.at(op).end()}; }
};
/// `ops` in graph order. Axes of extent 1 that a broadcast repeats have a class of their own.
AxisClasses classify_axes(const Graph& graph, const std::vector<ValueId>& ops);

}  // namespace mlc
