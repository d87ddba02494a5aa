// When two groups have the same loops: lowering sees no more of a group than its key says, so groups of one key are lowered once.
#pragma once
#include "compiler/loops/lower.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlc::loops {

/// Where a value lies for the loops: a result made in place has its operand's place, a new value of state that is read where it is
/// stored that of its tensor.
ArgRef argument_place(const Plan& plan, ArgRef ref);

/// A group up to the numbers of its values and tensors. Groups of equal `text` have the same Lowered under one target, but for the
/// arguments and the names of buffers: an argument that is `places[i]` of the one is `places[i]` of the other.
struct GroupKey {
  std::string text;
  std::vector<ArgRef> places;
};

/// The arguments of a group of key `to`, given those of a group of the same text.
std::vector<ArgRef> moved_arguments(const std::vector<ArgRef>& args, const GroupKey& from, const GroupKey& to);

/// Makes the keys of a planned graph's groups.
class GroupKeys {
public:
  GroupKeys(const Graph& graph, const Plan& plan);
  /// Nothing for an update group: its members are many, and no two are alike.
  std::optional<GroupKey> of(const Group& group) const;

private:
  const Graph& graph_;
  const Plan& plan_;
  std::vector<std::pair<ValueId, TensorId>> stores_;   // by value, those of one value in their order
};

}  // namespace mlc::loops
