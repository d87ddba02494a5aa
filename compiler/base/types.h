// Element types and shapes.
#pragma once
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace mlc {

enum class DType : uint8_t { f32, bf16, i32, i64, u8, boolean };

std::string_view dtype_name(DType dtype);  ///< "f32", "bf16", "i32", "i64", "u8", "bool"
bool parse_dtype(std::string_view name, DType* out);
inline int64_t dtype_bytes(DType d) { return d == DType::i64 ? 8 : d == DType::bf16 ? 2 : d == DType::u8 || d == DType::boolean ? 1 : 4; }
inline bool is_float(DType d) { return d == DType::f32 || d == DType::bf16; }

using Shape = std::vector<int64_t>;
inline int64_t element_count(const Shape& shape) { return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()); }

struct Type {
  DType dtype = DType::f32;
  Shape shape;
  bool operator==(const Type&) const = default;
  int64_t elements() const { return element_count(shape); }
  int64_t bytes() const { return elements() * dtype_bytes(dtype); }
};

/// What a tensor is for a training run: a dataset column, trained, running state (batch statistics, fitted transforms),
/// an optimizer's memory, or a result of the step.
enum class Role : uint8_t { input, parameter, running, slot, output };

std::string format_type(const Type& type);  ///< "f32[64, 784]"

}  // namespace mlc
