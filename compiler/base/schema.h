// What a compiler needs to know of a dataset: no rows, only names, shapes and classes.
#pragma once
#include "compiler/base/types.h"

#include <string>
#include <vector>

namespace mlc {

/// One column of a dataset: one typed tensor per row. Tables are one column `x` of shape [features] and one of the target.
struct ColumnSchema {
  enum class Meaning : uint8_t { number, index, free };  ///< index: class numbers 0..classes.size()-1
  std::string name;             ///< `x`, `y`, or the names of several inputs, targets and tensors
  Type type;                    ///< of one row; no batch axis
  bool target = false;
  Meaning meaning = Meaning::number;
  std::vector<std::string> classes;   ///< labels in index order, for Meaning::index
  std::vector<int64_t> counts;        ///< per class, how often the training rows have it; empty: not known
  std::vector<std::string> features;  ///< names along the last axis of a table, or of a target's column; else empty
  /// A column of a table's file that became several features, "column=label" each.
  struct Category {
    std::string column;
    std::vector<std::string> labels;
  };
  std::vector<Category> categories;
  std::vector<double> fills;          ///< per feature, what stands for a missing value; empty: nothing does
  double range = 1;             ///< greatest value of the raw numbers (255 for u8 images): `to_float` divides by it
  int64_t pitch = 0;            ///< elements from one row to the next where rows overlap (windows of a text); 0: side by side
  int64_t row_pitch() const { return pitch > 0 ? pitch : type.elements(); }
};

struct Schema {
  std::string dataset;          ///< its name for the user: "mnist", "iris.csv"
  std::vector<ColumnSchema> columns;
  std::vector<std::string> vocabulary;   ///< of text: the bytes of each token, in index order
  bool byte_tokens = false;              ///< tokens are single bytes, else characters
  int64_t train_rows = 0;       ///< rows of the training part; 0: not known
  int64_t val_rows = 0;         ///< of the validation part, where train_rows is known
  std::vector<std::string> leaks;   ///< features that tell the target row by row
  const ColumnSchema* find(const std::string& name) const {
    for (const ColumnSchema& c : columns)
      if (c.name == name) return &c;
    return nullptr;
  }
};

}  // namespace mlc
