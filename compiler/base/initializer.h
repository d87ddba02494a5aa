// How a tensor starts. Filled by Philox from (seed, path), so weights do not depend on the order of layers.
#pragma once
#include "compiler/base/types.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

struct Initializer {
  enum class Kind : uint8_t { constant, uniform, normal, values };
  Kind kind = Kind::constant;
  double a = 0;                ///< constant: the value; uniform: U(-a, a); normal: the standard deviation
  double mean = 0;             ///< normal
  std::vector<double> values;  ///< values: all elements
};

/// Fills `count` f32 numbers (or i32 for DType::i32) of the tensor named `path`.
void initialize(const Initializer& init, const std::string& path, uint64_t seed, DType dtype, int64_t count, void* out);

}  // namespace mlc
