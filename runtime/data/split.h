// Which rows belong to which part.
#pragma once
#include "runtime/data/settings.h"

#include <array>
#include <cstdint>
#include <vector>

namespace mlc {

struct Parts {
  std::vector<int32_t> train, val, test;
};

/// How many of `n` each part (train, val, test) gets: fractions rounded by largest remainder. SpecError when they sum to
/// more than 1.
std::array<int64_t, 3> split_counts(int64_t n, const SplitSettings& settings);

/// Splits rows by fractions, rounded by largest remainder, per class where `labels` are given; the order is that of Philox
/// words of the seed, or that of the file. Rows of a part keep the order drawn. SpecError when a part with a fraction gets
/// no row, or the fractions sum to more than 1.
Parts split_rows(const std::vector<int32_t>& rows, const std::vector<int32_t>& labels, const SplitSettings& settings, uint64_t seed);

/// `rows` with rows of rare classes repeated until every class is as frequent as the most frequent one.
std::vector<int32_t> oversampled(const std::vector<int32_t>& rows, const std::vector<int32_t>& labels);

}  // namespace mlc
