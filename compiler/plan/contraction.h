// What the labels of a contraction are to the loops that compute it.
#pragma once
#include "compiler/graph/ir.h"

#include <optional>
#include <string>

namespace mlc {

/// Vectors run along `lane`, whose elements lie side by side in one operand; the other operand is read as scalars, down
/// `row` (0: no label of the result is its alone). `k` is summed; `others` are the remaining labels of the result.
struct ContractionRoles {
  char lane = 0, row = 0;
  int vector = 0;              ///< which operand gives vectors
  std::string k, others;
};
/// Of a contraction in a graph with layouts; nothing where no operand has lanes.
std::optional<ContractionRoles> contraction_roles(const Graph& graph, ValueId id);

/// True when neighbours of a column of the scalar operand lie so far apart that a tile of it is copied before use.
bool reads_far_columns(const Graph& graph, ValueId id, const ContractionRoles& roles);

}  // namespace mlc
