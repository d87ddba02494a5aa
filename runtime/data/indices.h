// Columns whose elements index a table of the model.
#pragma once
#include "runtime/data/dataset.h"

#include <optional>
#include <string>

namespace mlc {

/// The first element of a column that lies outside of 0..extent-1: "'x' holds the index 12 in row 3 of d.safetensors", rows
/// counted from 1 in their file. `ignored` may stand there too.
std::optional<std::string> index_outside(const Dataset& data, const std::string& column, int64_t extent,
                                         std::optional<double> ignored = {});

}  // namespace mlc
