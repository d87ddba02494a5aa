// Tables: targets, features, and tables of pixels.
#include "runtime/data/opener.h"

#include "compiler/base/diagnostics.h"
#include "runtime/data/resize.h"
#include "runtime/data/split.h"
#include "runtime/data/table.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

namespace mlc {

namespace fs = std::filesystem;

void Opener::table(const std::vector<std::string>& paths, const CsvSettings& csv) {
  out_.schema.dataset = fs::path(paths[0]).filename().string();
  finish_table(read_table(paths, csv, s_.split, s_.transforms, s_.loc), csv);
}

void Opener::finish_table(Table t, const CsvSettings& csv) {
  out_.rows = t.rows;
  take_labels(t);
  keys_ = t.keys;
  assign(t.part_rows);
  fill_missing(t, csv, out_.train);
  for (const auto& [name, columns] : csv.inputs) add_input(t, name.text, columns);
  if (csv.inputs.empty()) add_all_features(t);
  for (const Table::Target& y : t.targets) add_target(y, t.rows);
}

void Opener::take_labels(const Table& t) {
  for (const Table::Target& y : t.targets)
    if (y.class_target && labels_.empty()) labels_ = y.labels;
}

void Opener::add_target(const Table::Target& y, int64_t rows) {
  ColumnSchema column = target(y.classes, y.class_target);
  column.name = y.name;
  column.features = {y.column};
  if (y.class_target) add_values(column, y.labels, rows);
  else add_values(column, y.values, rows);
}

bool Opener::of_indices(const Table& t, const std::vector<size_t>& chosen, Loc loc) const {
  auto coded = static_cast<size_t>(std::count_if(chosen.begin(), chosen.end(), [&](size_t f) { return t.coded[f]; }));
  if (coded == 0 || coded == chosen.size()) return coded > 0;
  std::string name = t.features[*std::find_if(chosen.begin(), chosen.end(), [&](size_t f) { return t.coded[f]; })];
  for (const auto& [column, category] : s_.csv.types)
    if (category && column.text == name && loc == s_.loc) loc = column.loc;
  throw SpecError(
      {.loc = loc,
       .text = "'" + name + "' is a category among numbers: encode it, or make it an input of its own for an embedding",
       .lines = {"encode  transforms: [{one_hot: {columns: [" + name + "]}}]", "embed   inputs: {" + name + ": " + name + ", ...}"}});
}

void Opener::add_indices(ColumnSchema x, const std::vector<float>& values, int64_t rows) {
  x.type.dtype = DType::i32;
  x.meaning = ColumnSchema::Meaning::free;
  x.fills.clear();
  add_values(x, std::vector<int32_t>(values.begin(), values.end()), rows);
}

void Opener::add_input(const Table& t, const std::string& name, const std::vector<Placed>& columns) {
  ColumnSchema x;
  x.name = name;
  std::vector<size_t> chosen = t.features_of(columns);
  x.type = {DType::f32, {static_cast<int64_t>(chosen.size())}};
  bool indices = of_indices(t, chosen, columns.front().loc);
  for (size_t f : chosen) {
    x.features.push_back(t.features[f]);
    if (!t.fills.empty()) x.fills.push_back(t.fills[f]);
  }
  for (const ColumnSchema::Category& k : t.categories)
    if (std::any_of(columns.begin(), columns.end(), [&](const Placed& c) { return c.text == k.column; })) x.categories.push_back(k);
  std::vector<float> values;
  for (int64_t r = 0; r < t.rows; ++r)
    for (size_t f : chosen) values.push_back(t.x[static_cast<size_t>(r) * t.features.size() + f]);
  if (indices) add_indices(x, values, t.rows);
  else add_values(x, values, t.rows);
}

void Opener::add_all_features(const Table& t) {
  ColumnSchema x;
  x.name = "x";
  x.type = {DType::f32, {static_cast<int64_t>(t.features.size())}};
  x.features = t.features;
  x.categories = t.categories;
  x.fills = t.fills;
  out_.schema.leaks = t.leaks;
  std::vector<size_t> all(t.features.size());
  std::iota(all.begin(), all.end(), size_t{0});
  if (of_indices(t, all, s_.loc)) add_indices(x, t.x, t.rows);
  else add_values(x, t.x, t.rows);
}

void Opener::pixel_table(const Table& t, const Known& known, const std::vector<LoadTransform>& transforms) {
  out_.rows = t.rows;
  take_labels(t);
  keys_ = t.keys;
  assign(t.part_rows);
  ColumnSchema x;
  x.name = "x";
  x.type = {DType::u8, known.shape};
  x.range = known.range;
  std::vector<uint8_t> pixels(t.x.size());
  std::transform(t.x.begin(), t.x.end(), pixels.begin(), [](float v) { return static_cast<uint8_t>(v); });
  add_values(x, pixels, t.rows);
  resize(transforms);
  add_target(t.targets.at(0), t.rows);
}
}  // namespace mlc
