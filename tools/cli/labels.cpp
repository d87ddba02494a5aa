#include "tools/cli/labels.h"

#include "runtime/data/indices.h"

namespace mlc {

std::optional<std::string> unknown_label(const Dataset& data, const Model& model) {
  for (const ColumnSchema& column : data.schema.columns) {
    if (!column.target || column.meaning != ColumnSchema::Meaning::index) continue;
    std::optional<double> ignored;
    for (const IndexBound& bound : model.index_bounds())
      if (bound.column == column.name && bound.ignored) ignored = bound.ignored;
    if (std::optional<std::string> fault = index_outside(data, column.name, std::ssize(column.classes), ignored))
      return *fault + ", which is no class; cross_entropy and nll leave it out by 'ignore_index'";
  }
  return std::nullopt;
}

}  // namespace mlc
