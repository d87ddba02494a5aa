#include "compiler/base/types.h"

#include "compiler/base/text.h"

#include <array>

namespace mlc {

constexpr std::array<std::string_view, 6> kNames = {"f32", "bf16", "i32", "i64", "u8", "bool"};

std::string_view dtype_name(DType dtype) { return kNames[static_cast<size_t>(dtype)]; }

bool parse_dtype(std::string_view name, DType* out) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return *out = static_cast<DType>(i), true;
  return false;
}

std::string format_type(const Type& type) { return std::string(dtype_name(type.dtype)) + format_shape(type.shape); }

}  // namespace mlc
