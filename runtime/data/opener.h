// What the readers of datasets share: one object opens one dataset, each reader in a file of its own.
#pragma once
#include "runtime/data/dataset.h"
#include "runtime/data/named.h"
#include "runtime/data/split.h"
#include "runtime/data/table.h"
#include "runtime/store/safetensors.h"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlc {

class Opener {
public:
  Opener(const DataSettings& s, bool schema_only) : s_(s), schema_only_(schema_only) {}
  Dataset run();

private:
  // --- where files lie (open.cpp) ---
  std::string find(const Placed& path);
  // In the tree of the spec's folder with links followed, or in a folder that is not the spec's to choose.
  bool within(const std::string& file, const std::string& folder) const;
  // The sources that the settings name, with the part of each: 0 train, 1 val, 2 test; or one of all rows.
  std::vector<std::pair<int, const SourceSettings*>> parts() const;
  std::vector<std::string> sources();
  void add_source(const std::string& name);

  // --- datasets by name (open_named.cpp) ---
  void named(const Placed& name, const std::vector<LoadTransform>& transforms);
  void images(const Placed& name, const Known& known, const std::vector<LoadTransform>& transforms);

  // --- columns of the dataset (open.cpp) ---
  Bytes& add_column(ColumnSchema column, int64_t rows);
  template <class T> void add_values(ColumnSchema column, const std::vector<T>& values, int64_t rows) {
    Bytes& b = add_column(std::move(column), rows);
    if (!schema_only_) std::memcpy(b.writable(), values.data(), values.size() * sizeof(T));
  }
  ColumnSchema target(const std::vector<std::string>& classes, bool class_target) const;

  // --- open_table.cpp ---
  void table(const std::vector<std::string>& paths, const CsvSettings& csv);
  void finish_table(Table t, const CsvSettings& csv);
  // Class targets stratify by the first of them.
  void take_labels(const Table& t);
  void add_target(const Table::Target& y, int64_t rows);
  // Categories that are not one-hot make an input of indices, and share it with nothing else.
  bool of_indices(const Table& t, const std::vector<size_t>& chosen, Loc loc) const;
  void add_indices(ColumnSchema x, const std::vector<float>& values, int64_t rows);
  void add_input(const Table& t, const std::string& name, const std::vector<Placed>& columns);
  void add_all_features(const Table& t);
  void pixel_table(const Table& t, const Known& known, const std::vector<LoadTransform>& transforms);

  // --- open_images.cpp ---
  void idx();
  void idx_files(const std::vector<std::pair<std::string, std::string>>& files, std::vector<std::string> classes,
                 const std::vector<LoadTransform>& transforms);
  void resize(const std::vector<LoadTransform>& transforms);

  // --- open_text.cpp ---
  void text();

  // --- open_tensors.cpp ---
  void tensors();
  // Which columns are targets: those that `target` names, else y.
  std::string target_name(const std::string& column) const;
  void check_targets(const std::vector<std::pair<std::string, std::vector<HostTensor>>>& columns) const;
  void add_tensor(const std::string& key, const std::vector<HostTensor>& pieces);
  // Class indices: their names, and a check that none is negative.
  void index_column(ColumnSchema& column, const Bytes& data);

  // --- open_synthetic.cpp ---
  void synthetic();

  // --- parts: rows of training, validation and test (open_parts.cpp) ---
  // Gives rows to parts: as the sources say, split where fractions are given, cut by `subset`.
  void assign(const std::vector<int64_t>& counts);
  void subsets();
  void assign_split(const SplitSettings& s);
  void assign_fold();
  // What the split deals by: columns it names, else the class target.
  void find_keys();
  // A column of tensors with one integer a row.
  std::vector<int32_t> codes_of(const Placed& name, const char* key) const;
  static void cut(std::vector<int32_t>& rows, const std::optional<RowRange>& range, const char* part);

  const DataSettings& s_;
  bool schema_only_;
  Dataset out_;
  std::vector<int> parts_;               // of each source; -1: of all rows
  std::vector<int32_t> labels_;
  SplitKeys keys_;
};

}  // namespace mlc
