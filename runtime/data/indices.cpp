#include "runtime/data/indices.h"

#include "runtime/data/class_counts.h"

#include <algorithm>

namespace mlc {

std::optional<std::string> index_outside(const Dataset& data, const std::string& column, int64_t extent, std::optional<double> ignored) {
  const ColumnSchema* schema = data.schema.find(column);
  const Bytes* values = data.find(column);
  if (!schema || !values || is_float(schema->type.dtype) || schema->type.dtype == DType::boolean) return std::nullopt;
  auto n = static_cast<int64_t>(values->size()) / dtype_bytes(schema->type.dtype);
  for (int64_t e = 0; e < n; ++e) {
    int64_t index = index_at(*values, schema->type.dtype, e);
    if ((index >= 0 && index < extent) || (ignored && static_cast<double>(index) == *ignored)) continue;
    int64_t row = std::min(e / schema->row_pitch(), data.rows - 1);
    std::string where = data.source;
    for (const auto& [file, rows] : data.pieces) {
      where = file;
      if (row < rows) break;
      row -= rows;
    }
    return "'" + column + "' holds the index " + std::to_string(index) + " in row " + std::to_string(row + 1) + " of " + where;
  }
  return std::nullopt;
}

}  // namespace mlc
