// What a dataset needs to know: plain values, filled from the spec by tools/cli. Texts that can only be judged with the data
// at hand carry their place in the spec.
#pragma once
#include "compiler/base/loc.h"
#include "compiler/base/types.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

struct Placed {
  std::string text;
  Loc loc;
  bool trusted = false;                    ///< a path that the command line names: it may lie anywhere
};

struct PlacedNumber {
  int64_t value = 0;                       ///< 0: not given
  Loc loc;
};

/// Rows of one part, or of all parts. Which fields count depends on the reader.
struct SourceSettings {
  Placed path;                             ///< csv, text, safetensors
  std::vector<std::pair<Placed, Placed>> tensors;   ///< idx, npy: column -> file; safetensors: column -> tensor name
  int64_t rows = 0;                        ///< synthetic
  Shape x, y;                              ///< synthetic: shapes of x and of a number target
  int64_t classes = 0;                     ///< synthetic: of a class target
  Placed tokens;                           ///< text: char or byte; empty: as the training source says, char
  PlacedNumber window, stride;             ///< text: tokens of a row, and from one row to the next (default: the window)
  Loc loc;
};

/// A column that is predicted.
struct TargetSettings {
  std::string name = "y";                  ///< of the dataset's column
  Placed column;                           ///< a name, or a number (an index, -1: the last); empty: none
  std::vector<std::string> classes;        ///< labels in index order
  bool class_target = false;               ///< `classes` was given, by labels or by number
  int64_t class_count = 0;                 ///< given by number
  Placed positive;                         ///< the label of two that gets index 1; empty: the second
};

struct CsvSettings {
  bool header = true;
  int64_t skip_rows = 0;
  char delimiter = ',';                    ///< ' ': runs of blanks
  std::vector<Placed> columns;             ///< used columns, or all names without a header
  std::vector<std::pair<Placed, bool>> types;   ///< column -> is a category
  std::vector<std::string> missing;        ///< tokens that count as missing
  std::string fill;                        ///< "", mean, median, drop, or a number
  std::map<std::string, std::vector<std::string>> labels;   ///< of one-hot columns, where they are known; else those found
  std::vector<double> fills;               ///< per feature, in place of what `fill` says of these rows
  Loc missing_loc;
  TargetSettings target;                   ///< the only one, called y
  std::vector<TargetSettings> targets;     ///< several, by name, instead
  std::vector<std::pair<Placed, std::vector<Placed>>> inputs;   ///< several inputs -> their columns; none: x of all features
};

/// What runs when the data are loaded.
struct LoadTransform {
  enum class Kind : uint8_t { resize, one_hot } kind = Kind::resize;
  int64_t height = 0, width = 0;           ///< resize
  std::vector<Placed> columns;             ///< one_hot
  Loc loc;
};

struct SplitSettings {
  double train = 0, val = 0, test = 0;     ///< fractions; all 0: no split
  std::optional<bool> stratify;            ///< default: class targets are, unless there are groups
  Placed stratify_by;                      ///< a column instead of the target
  Placed group;                            ///< a column: rows with the same value stay in one part
  bool sequential = false, order_given = false;
  int64_t folds = 0;                       ///< cross validation: the training rows are cut into so many; 0: none
  int64_t fold = 1;                        ///< the one that validates, from 1
  bool fold_named = false;                 ///< the spec asks for this one only
  Loc loc, folds_loc;
};

struct RowRange {
  int64_t begin = 0, end = 0;
  Loc loc;
};

struct DataSettings {
  Placed dataset;                          ///< by name; or
  std::string reader;                      ///< csv, idx, npy, text, safetensors, synthetic
  std::vector<std::string> folders;        ///< where relative paths and datasets are looked for, in order
  std::string home;                        ///< the spec's folder: files lie in its tree or in one of `folders`; empty: anywhere
  std::optional<SourceSettings> all, train, val, test;
  CsvSettings csv;
  SplitSettings split;
  std::optional<RowRange> subset_train, subset_val, subset_test;
  std::vector<LoadTransform> transforms;
  bool oversample = false;
  uint64_t seed = 0;
  struct Fallback {
    Placed dataset;
    std::vector<LoadTransform> transforms;
  };
  std::optional<Fallback> fallback;
  Loc loc;                                 ///< of the section
};

}  // namespace mlc
