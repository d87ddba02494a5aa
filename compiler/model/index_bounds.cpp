#include "compiler/model/index_bounds.h"

#include "compiler/graph/graph.h"

#include <algorithm>

namespace mlc {
namespace {

// The input that a value's elements are, moved about at most.
const Tensor* column_of(const Graph& graph, ValueId value) {
  for (;;) {
    const Op& op = graph.op(value);
    switch (op.code) {
    case OpCode::input: return &graph.tensors[static_cast<size_t>(op.attr.tensor)];
    case OpCode::cast:
      if (is_float(graph.type(value).dtype)) return nullptr;
      [[fallthrough]];
    case OpCode::reshape:
    case OpCode::transpose:
    case OpCode::slice:
    case OpCode::broadcast:
    case OpCode::stop_gradient: value = op.in[0]; break;
    default: return nullptr;
    }
  }
}

}  // namespace

void find_index_bounds(const Graph& graph, std::vector<IndexBound>& bounds) {
  for (const Op& op : graph.ops) {
    if (op.code != OpCode::take && op.code != OpCode::pick) continue;
    const Tensor* column = column_of(graph, op.in[1]);
    if (!column) continue;
    const Shape& table = graph.type(op.in[0]).shape;
    int64_t extent = op.code == OpCode::take ? table[0] : table[static_cast<size_t>(op.attr.axis)];
    auto same = std::find_if(bounds.begin(), bounds.end(), [&](const IndexBound& b) { return b.column == column->path; });
    if (same == bounds.end()) bounds.push_back({column->path, extent, op.loc});
    else if (extent < same->extent) *same = {column->path, extent, op.loc};
  }
}

}  // namespace mlc
