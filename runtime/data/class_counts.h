// How often each class is among the targets of some rows.
#pragma once
#include "compiler/base/schema.h"
#include "runtime/store/bytes.h"

#include <cstdint>
#include <vector>

namespace mlc {

/// Per class of a column of indices (i32, i64 or u8) the number of elements of `rows` that hold it.
std::vector<int64_t> class_counts(const ColumnSchema& column, const Bytes& data, const std::vector<int32_t>& rows);

/// The element `index` of a column of indices.
int64_t index_at(const Bytes& data, DType type, int64_t index);

}  // namespace mlc
