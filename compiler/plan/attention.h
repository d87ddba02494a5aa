// Attention as a structure of the graph (rule F16), whatever made it: contractions that make a matrix of scores from
// queries and keys of each sample, elementwise ops and reductions along the keys (scale, mask, softmax, dropout), and
// contractions that take the result. Joined in one group the matrix is never in memory: a block of 16 queries at a time
// has its scores in the kernel's scratch. A gradient that reads the scores again makes them again.
#pragma once
#include "compiler/plan/plan.h"

#include <set>

namespace mlc {

/// The ops of one attention. Those that depend on what an earlier contraction took are of a later wave: the gradient.
struct Attention {
  ValueId anchor = kNoValue;                 ///< the first contraction that makes scores
  size_t query = 0, key = 0;                 ///< axes of the scores; all reductions run along `key`
  std::set<ValueId> scores, rows, takers;    ///< of the scores' shape (makers included); one number a query; contractions
  std::set<ValueId> shared;                  ///< masks: elementwise on index ramps and constants alone
  std::map<ValueId, std::set<int>> waves;    ///< waves that need an op
};

/// Attentions whose scores take more than the second-level cache. Each that is not one in the end leaves a refusal.
std::vector<Attention> find_attention(const Graph& graph, const Target& target, std::vector<Refusal>* refusals);
/// Makes scores again for each wave that reads them: afterwards every wave is an attention of its own.
void split_attention(Graph& graph, const Target& target);
/// One group for each attention of one wave.
std::vector<Group> attention_groups(const Graph& graph, const Target& target, std::vector<Refusal>& refusals);

/// What the lowering must know of a group of Form::attention.
struct AttentionRoles {
  size_t query = 0, key = 0;                 ///< axes of the scores
  std::vector<ValueId> makers, by_query, by_key;   ///< contractions: scores; sums over keys; sums over queries
  bool causal = false;                       ///< keys behind a query's own index add nothing: exact zeros
};
AttentionRoles attention_roles(const Graph& graph, const Group& group);

}  // namespace mlc
