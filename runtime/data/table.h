// CSV files as columns `x` (features) and `y` (target).
#pragma once
#include "runtime/data/dataset.h"
#include "runtime/data/split.h"

#include <string>
#include <vector>

namespace mlc {

/// A table before it is split: missing values are NaN until fill_missing().
struct Table {
  std::vector<std::string> features;
  std::vector<bool> coded;               ///< per feature: a category that is not one-hot, its values are indices of labels
  std::vector<float> x;                  ///< rows * features
  int64_t rows = 0;
  struct Target {
    std::string name, column;            ///< of the dataset, and in the file
    bool class_target = false;
    std::vector<std::string> classes;
    std::vector<int32_t> labels;         ///< class target
    std::vector<float> values;           ///< number target
  };
  std::vector<Target> targets;
  /// Indices of an input's columns (one-hot columns are several) among the features.
  std::vector<size_t> features_of(const std::vector<Placed>& columns) const;
  std::vector<int64_t> part_rows;        ///< of each file
  std::vector<ColumnSchema::Category> categories;
  std::vector<double> fills;             ///< per feature; set by fill_missing()
  SplitKeys keys;                        ///< of the columns that the split names
  std::vector<std::string> leaks;        ///< features that tell the target row by row: equal to it, or one value for each class
};

/// Reads files of one form, one after the other. `one_hot` transforms are applied, other load transforms refused. The
/// column that `split` groups by is no feature, unless `columns` selects it.
Table read_table(const std::vector<std::string>& paths, const CsvSettings& csv, const SplitSettings& split,
                 const std::vector<LoadTransform>& transforms, Loc loc);

/// Replaces NaN as `csv.fill` says: by the column's mean or median over `train_rows`, or by a number.
void fill_missing(Table& table, const CsvSettings& csv, const std::vector<int32_t>& train_rows);

}  // namespace mlc
