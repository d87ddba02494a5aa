#include "runtime/data/class_counts.h"

#include <cstring>

namespace mlc {

int64_t index_at(const Bytes& data, DType type, int64_t index) {
  const std::byte* at = data.data() + index * dtype_bytes(type);
  if (type == DType::u8) return static_cast<int64_t>(*at);
  if (type == DType::i32) {
    int32_t narrow = 0;
    std::memcpy(&narrow, at, sizeof narrow);
    return narrow;
  }
  int64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::vector<int64_t> class_counts(const ColumnSchema& column, const Bytes& data, const std::vector<int32_t>& rows) {
  std::vector<int64_t> counts(column.classes.size());
  int64_t pitch = column.row_pitch(), width = column.type.elements(), classes = static_cast<int64_t>(counts.size());
  auto count = [&](int64_t element, int64_t times) {
    int64_t index = index_at(data, column.type.dtype, element);
    if (index >= 0 && index < classes) counts[static_cast<size_t>(index)] += times;
  };
  if (pitch >= width) {
    for (int32_t row : rows)
      for (int64_t e = 0; e < width; ++e) count(row * pitch + e, 1);
    return counts;
  }
  // Rows overlap: each element is read once, with the number of rows that hold it.
  std::vector<int64_t> change(data.size() / static_cast<size_t>(dtype_bytes(column.type.dtype)) + 1);
  for (int32_t row : rows) {
    ++change[static_cast<size_t>(row * pitch)];
    --change[static_cast<size_t>(row * pitch + width)];
  }
  int64_t holders = 0;
  for (size_t e = 0; e + 1 < change.size(); ++e)
    if (holders += change[e]; holders > 0) count(static_cast<int64_t>(e), holders);
  return counts;
}

}  // namespace mlc
