// What the generic form of an attention and its fast one share: a tile is one head of one sample, all queries or 16 of them, one
// in each lane; scores of 16 queries lie in scratch as [keys][16].
#pragma once
#include "compiler/loops/context.h"
#include "compiler/plan/attention.h"

#include <functional>

namespace mlc::loops {

class AttentionLoops {
protected:
  AttentionLoops(const Graph& graph, const Group& group, const Plan& plan, Lowered& out);

  const AxisClasses& axes() const { return c_.axes(); }
  Writer& w() { return c_.w(); }
  int64_t extent(int cls) const { return axes().extent[static_cast<size_t>(cls)]; }
  int64_t blocks_of(int cls) const { return (extent(cls) + kLanes - 1) / kLanes; }
  Reg number(int64_t n) { return w().constant(static_cast<double>(n), Elem::index); }

  bool is_sum(ValueId v) const { return is_reducing(graph_.ops[v].code) && graph_.ops[v].code != OpCode::contract; }
  bool is_score(ValueId v) const { return axes().result.at(v) == scores_; }
  bool is_maker(ValueId v) const;
  /// The scores that a contraction takes, and which operand they are.
  size_t taken_operand(ValueId t) const { return inside_.count(graph_.ops[t].in[0]) ? 0 : 1; }
  ValueId taken(ValueId t) const { return graph_.ops[t].in[taken_operand(t)]; }
  /// The class that a contraction that makes scores sums.
  int summed_of(ValueId maker) const;
  /// The class that a taking contraction has from its other operand alone.
  int features_of(ValueId t) const;

  /// Sets the classes of heads and samples, and block_ where a head has more than one tile.
  void open_tiles(int64_t blocks);
  /// Queries of block_ are in the lanes from here on.
  void open_block();
  void close_block();
  /// One number a query that others read.
  void write_rows();

  /// The scratch of scores; made on first use.
  int place_of(ValueId v);
  /// Stores the scores `v` of the current key.
  void keep(ValueId v);
  /// Reads of `v` are loads of its scratch from here on.
  void save(ValueId v) { c_.save(v, {place_.at(v), {extent(key_)}, {key_}, true}); }

  /// A loop that carries `acc`; without turns where begin is not below end.
  void carried(int64_t begin, int64_t end, int64_t step, std::vector<Reg>& acc, const std::function<void(Reg)>& body);
  /// The same in a loop that is open.
  void carry(Reg var, std::vector<Reg>& acc, const std::function<void(Reg)>& body);
  Reg identity(OpCode code);
  /// One step of a reduction along the keys.
  void accumulate(ValueId r, Reg& acc);

  const Graph& graph_;
  const Group& group_;
  Lowered& out_;
  Context c_;
  std::set<ValueId> inside_;
  AttentionRoles roles_;
  std::vector<int> scores_;                        // classes of the scores' axes
  int query_ = 0, key_ = 0;
  std::vector<ValueId> taken_;                     // scores that contractions read
  std::map<ValueId, int> place_;
  Reg block_ = kNoReg, in_block_ = kNoReg;         // of queries; how many are in it where the last is partial
};

}  // namespace mlc::loops
