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

// The number that all elements of a value are.
std::optional<double> constant_of(const Graph& graph, ValueId value) {
  while (graph.op(value).code == OpCode::cast || graph.op(value).code == OpCode::broadcast) value = graph.op(value).in[0];
  const Op& op = graph.op(value);
  if (op.code != OpCode::constant || op.attr.values.size() != 1) return std::nullopt;
  return op.attr.values[0];
}

// where(column == number, another index, column): the column, and the number that it may hold beside indices.
const Tensor* column_or_ignored(const Graph& graph, ValueId value, std::optional<double>& ignored) {
  while (graph.op(value).code == OpCode::reshape || graph.op(value).code == OpCode::broadcast) value = graph.op(value).in[0];
  const Op& choice = graph.op(value);
  if (choice.code != OpCode::select) return nullptr;
  ValueId compared = choice.in[0];
  while (graph.op(compared).code == OpCode::broadcast) compared = graph.op(compared).in[0];
  const Op& same = graph.op(compared);
  if (same.code != OpCode::eq || !constant_of(graph, choice.in[1])) return nullptr;
  const Tensor* column = column_of(graph, choice.in[2]);
  ValueId left = same.in[0];
  while (graph.op(left).code == OpCode::cast) left = graph.op(left).in[0];   // exact for numbers of classes
  ignored = constant_of(graph, same.in[1]);
  return column && ignored && column_of(graph, left) == column ? column : nullptr;
}

}  // namespace

void find_index_bounds(const Graph& graph, std::vector<IndexBound>& bounds) {
  for (const Op& op : graph.ops) {
    if (op.code != OpCode::take && op.code != OpCode::pick) continue;
    std::optional<double> ignored;
    const Tensor* column = column_of(graph, op.in[1]);
    if (!column) column = column_or_ignored(graph, op.in[1], ignored);
    if (!column) continue;
    const Shape& table = graph.type(op.in[0]).shape;
    int64_t extent = op.code == OpCode::take ? table[0] : table[static_cast<size_t>(op.attr.axis)];
    auto same =
        std::find_if(bounds.begin(), bounds.end(), [&](const IndexBound& b) { return b.column == column->path && b.ignored == ignored; });
    if (same == bounds.end()) bounds.push_back({column->path, extent, op.loc, ignored});
    else if (extent < same->extent) *same = {column->path, extent, op.loc, ignored};
  }
}

}  // namespace mlc
