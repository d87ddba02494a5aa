#include "runtime/store/numbers.h"

#include "compiler/base/diagnostics.h"

#include <array>
#include <bit>
#include <concepts>
#include <cstring>
#include <limits>

namespace mlc {

static_assert(std::endian::native == std::endian::little, "files are read as little endian");

namespace {

/// IEEE half precision, subnormals, infinities and not-a-numbers included.
struct Half {
  uint16_t bits;
  explicit operator float() const {
    int exponent = bits >> 10 & 31;
    uint32_t mantissa = bits & 1023u, sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    if (exponent == 0) {
      float value = static_cast<float>(mantissa) * 0x1p-24f;
      return sign ? -value : value;
    }
    uint32_t wide = exponent == 31 ? 255u : static_cast<uint32_t>(exponent + 112);
    return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
  }
};

/// The upper half of a float.
struct Brain {
  uint16_t bits;
  explicit operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

template <class From> From load(const std::byte* in, bool big_endian) {
  std::array<std::byte, sizeof(From)> raw;
  std::memcpy(raw.data(), in, sizeof(From));
  if (big_endian)
    for (size_t i = 0; i < raw.size() / 2; ++i) std::swap(raw[i], raw[raw.size() - 1 - i]);
  return std::bit_cast<From>(raw);
}

template <class From, class To> bool convert(bool big_endian, const std::byte* in, size_t count, std::byte* out) {
  if (std::same_as<From, To> && !big_endian) {
    std::memcpy(out, in, count * sizeof(From));
    return true;
  }
  bool fits = true;
  for (size_t i = 0; i < count; ++i) {
    From from = load<From>(in + i * sizeof(From), big_endian);
    if constexpr (std::same_as<From, uint64_t>) fits &= from <= uint64_t{std::numeric_limits<int64_t>::max()};
    To to = static_cast<To>(from);
    std::memcpy(out + i * sizeof(To), &to, sizeof(To));
  }
  return fits;
}

}  // namespace

int64_t format_bytes_of(NumberFormat format) {
  switch (format) {
  case NumberFormat::boolean:
  case NumberFormat::u8:
  case NumberFormat::i8: return 1;
  case NumberFormat::u16:
  case NumberFormat::i16:
  case NumberFormat::f16:
  case NumberFormat::bf16: return 2;
  case NumberFormat::u32:
  case NumberFormat::i32:
  case NumberFormat::f32: return 4;
  case NumberFormat::u64:
  case NumberFormat::i64:
  case NumberFormat::f64: return 8;
  }
  throw InternalError("number format is known");
}

DType element_type(NumberFormat format) {
  switch (format) {
  case NumberFormat::boolean: return DType::boolean;
  case NumberFormat::u8: return DType::u8;
  case NumberFormat::i8:
  case NumberFormat::u16:
  case NumberFormat::i16:
  case NumberFormat::i32: return DType::i32;
  case NumberFormat::u32:
  case NumberFormat::u64:
  case NumberFormat::i64: return DType::i64;
  case NumberFormat::bf16:
  case NumberFormat::f16:
  case NumberFormat::f32:
  case NumberFormat::f64: return DType::f32;
  }
  throw InternalError("number format is known");
}

bool convert_numbers(NumberFormat format, bool big_endian, const std::byte* in, size_t count, std::byte* out) {
  switch (format) {
  case NumberFormat::boolean:
    for (size_t i = 0; i < count; ++i) out[i] = in[i] == std::byte{0} ? std::byte{0} : std::byte{1};
    return true;
  case NumberFormat::u8: return convert<uint8_t, uint8_t>(false, in, count, out);
  case NumberFormat::i8: return convert<int8_t, int32_t>(big_endian, in, count, out);
  case NumberFormat::u16: return convert<uint16_t, int32_t>(big_endian, in, count, out);
  case NumberFormat::i16: return convert<int16_t, int32_t>(big_endian, in, count, out);
  case NumberFormat::u32: return convert<uint32_t, int64_t>(big_endian, in, count, out);
  case NumberFormat::i32: return convert<int32_t, int32_t>(big_endian, in, count, out);
  case NumberFormat::u64: return convert<uint64_t, int64_t>(big_endian, in, count, out);
  case NumberFormat::i64: return convert<int64_t, int64_t>(big_endian, in, count, out);
  case NumberFormat::f16: return convert<Half, float>(big_endian, in, count, out);
  case NumberFormat::bf16: return convert<Brain, float>(big_endian, in, count, out);
  case NumberFormat::f32: return convert<float, float>(big_endian, in, count, out);
  case NumberFormat::f64: return convert<double, float>(big_endian, in, count, out);
  }
  throw InternalError("number format is known");
}

}  // namespace mlc
