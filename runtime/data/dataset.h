// Datasets: resident typed columns, and which rows belong to which part.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/base/schema.h"
#include "runtime/data/settings.h"
#include "runtime/store/bytes.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// All rows of all parts, one column of contiguous rows for each entry of the schema, and the row numbers of the parts.
struct Dataset {
  Schema schema;
  int64_t rows = 0;
  std::vector<Bytes> columns;            ///< in order of schema.columns; rows * type.bytes() bytes each
  std::vector<int32_t> train, val, test;
  std::string source;                    ///< where it came from, for the run's header: "mnist in FOLDER"
  std::map<std::string, std::string> files;   ///< paths as the settings have them -> where they were found
  std::vector<std::pair<std::string, int64_t>> pieces;   ///< the files of all rows in order, with their rows; may be empty
  std::string missing_dataset;           ///< with a fallback in use: what was not found, and where
  const Bytes* find(const std::string& column) const;
};

/// A file or a dataset is not where it was looked for.
struct MissingData : SpecError {
  using SpecError::SpecError;
};

/// Opens what the settings name: found, decoded, transformed as far as happens at load, split. Faults of the spec are
/// SpecErrors at its place (MissingData where there is no file); faults of text files TextFaults; of binary files
/// "FILE: ...".
Dataset open_dataset(const DataSettings& settings);

/// Only the schema, as far as the files tell it; reads the data too where they must be (tables).
Schema read_schema(const DataSettings& settings);

/// Rows for `predict`: the columns that are no targets, read from a file of any reader (told by its content and name).
/// Tables need the feature names of the schema (in any order) or as many columns without names, and are read as `trained` says of its own;
/// IDX images are resized as those were.
Dataset read_inputs(const std::string& path, const Schema& schema, const DataSettings& trained);

/// The schema of a dataset of images by name (digits is one, though its pixels come as a table), which is known without its
/// files; nothing for other names.
std::optional<Schema> known_schema(const std::string& dataset);

/// Names that `dataset:` knows.
std::vector<std::string> dataset_names();

/// Where tables that come with mlc lie.
std::string bundled_folder();

}  // namespace mlc
