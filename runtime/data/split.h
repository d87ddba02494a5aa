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

/// What rows are dealt by: a code per row number. Both empty: by nothing.
struct SplitKeys {
  std::vector<int32_t> strata;             ///< each part gets its share of every stratum
  std::vector<int32_t> groups;             ///< rows of one group stay in one part
};

/// Splits rows by fractions, rounded by largest remainder, per stratum where there are some; the order is that of Philox
/// words of the seed, or that of the file. Groups are dealt whole, the largest first, each to the part that lacks most
/// rows; in the order of the file a part takes the groups whose middle row lies in its range. Rows of a part keep the
/// order drawn. SpecError when a part with a fraction gets no row, or the fractions sum to more than 1.
Parts split_rows(const std::vector<int32_t>& rows, const SplitKeys& keys, const SplitSettings& settings, uint64_t seed);

/// Cuts rows into settings.folds parts of equal size, up to one row, in each stratum and in all: `val` is number
/// settings.fold, `train` the others. In the order of the file folds are runs of rows. Groups go whole, the largest
/// first, each to the smallest fold. SpecError when a fold would be empty.
Parts fold_rows(const std::vector<int32_t>& rows, const SplitKeys& keys, const SplitSettings& settings, uint64_t seed);

/// `rows` with rows of rare classes repeated until every class is as frequent as the most frequent one.
std::vector<int32_t> oversampled(const std::vector<int32_t>& rows, const std::vector<int32_t>& labels);

}  // namespace mlc
