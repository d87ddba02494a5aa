// Which columns of the data index which tables: what must hold before a program runs.
#pragma once
#include "compiler/graph/ir.h"
#include "compiler/model/model.h"

#include <vector>

namespace mlc {

/// Adds the columns of `graph` whose elements go into `take` or `pick` as they are, or all but one number. Other indices that are computed
/// from columns are none: programs keep those within the table.
void find_index_bounds(const Graph& graph, std::vector<IndexBound>& bounds);

}  // namespace mlc
