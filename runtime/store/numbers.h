// The number formats of files, and their conversion to the element types that programs know.
#pragma once
#include "compiler/base/types.h"

#include <cstddef>
#include <string>

namespace mlc {

enum class NumberFormat : uint8_t { boolean, u8, i8, u16, i16, u32, i32, u64, i64, f16, bf16, f32, f64 };

int64_t format_bytes_of(NumberFormat format);
/// The element type that holds the format: u8, bool, i32, i64, f32 as they are; i8, i16, u16 as i32; u32 and u64 as
/// i64; f16, bf16 and f64 as f32.
DType element_type(NumberFormat format);

/// Converts `count` numbers from `in` (of any alignment) to element_type(format). Returns false when a u64 does not fit
/// into i64; f64 beyond f32 becomes infinite.
bool convert_numbers(NumberFormat format, bool big_endian, const std::byte* in, size_t count, std::byte* out);

}  // namespace mlc
