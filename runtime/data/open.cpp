// Opening a dataset: the reader that the settings name, where its files lie, and the columns that it makes.
#include "runtime/data/opener.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/philox.h"
#include "compiler/base/text.h"
#include "runtime/data/class_counts.h"
#include "runtime/data/text_file.h"
#include "runtime/store/npy.h"
#include "runtime/store/safetensors.h"

#include <filesystem>

namespace mlc {

namespace fs = std::filesystem;

Dataset Opener::run() {
  if (!s_.dataset.text.empty()) {
    named(s_.dataset, s_.transforms);
  } else if (s_.reader == "csv") {
    table(sources(), s_.csv);
  } else if (s_.reader == "idx") {
    idx();
  } else if (s_.reader == "text") {
    text();
  } else if (s_.reader == "npy" || s_.reader == "safetensors") {
    tensors();
  } else if (s_.reader == "synthetic") {
    synthetic();
  } else {
    throw SpecError(s_.loc, "'data' needs 'dataset' or 'reader'");
  }
  out_.schema.train_rows = static_cast<int64_t>(out_.train.size());
  out_.schema.val_rows = static_cast<int64_t>(out_.val.size());
  for (size_t i = 0; !schema_only_ && i < out_.columns.size(); ++i)
    if (ColumnSchema& c = out_.schema.columns[i]; c.target && c.meaning == ColumnSchema::Meaning::index)
      c.counts = class_counts(c, out_.columns[i], out_.train);
  return std::move(out_);
}

std::string Opener::find(const Placed& path) {
  if (path.text == kStandardInput && !path.loc.file) return path.text;
  bool absolute = fs::path(path.text).is_absolute();
  for (const std::string& folder : absolute ? std::vector<std::string>{""} : s_.folders)
    if (std::string found = existing_file((fs::path(folder) / path.text).string()); !found.empty()) {
      if (!s_.home.empty() && !path.trusted && !within(found, folder))
        throw SpecError(path.loc, "'" + path.text + "' lies outside of the spec's folder; --allow-outside lets a spec read it");
      return out_.files[path.text] = found;
    }
  Diagnostic d{.loc = path.loc, .text = "no such file: '" + path.text + "'"};
  if (!fs::path(path.text).is_absolute()) d.lines.push_back("looked in " + join(s_.folders, ", "));
  throw MissingData(std::move(d));
}

bool Opener::within(const std::string& file, const std::string& folder) const {
  if (inside_folder(file, s_.home)) return true;
  std::error_code fault;
  fs::path path = fs::absolute(file, fault).lexically_normal();
  for (const std::string& place : s_.folders) {
    if (fs::equivalent(place, s_.home, fault) || (!folder.empty() && place != folder)) continue;
    fs::path rest = path.lexically_relative(fs::absolute(place, fault).lexically_normal());
    if (!rest.empty() && *rest.begin() != "..") return true;
  }
  return false;
}

std::vector<std::pair<int, const SourceSettings*>> Opener::parts() const {
  std::vector<std::pair<int, const SourceSettings*>> out;
  if (s_.all) return {{-1, &*s_.all}};
  if (s_.train) out.push_back({0, &*s_.train});
  if (s_.val) out.push_back({1, &*s_.val});
  if (s_.test) out.push_back({2, &*s_.test});
  if (out.empty()) throw SpecError(s_.loc, "'data' needs a 'path', or 'train' with its source");
  return out;
}

std::vector<std::string> Opener::sources() {
  std::vector<std::string> paths;
  for (auto [part, source] : parts()) {
    if (source->path.text.empty()) throw SpecError(source->loc, "this source needs a 'path'");
    paths.push_back(find(source->path));
    parts_.push_back(part);
    add_source(source->path.text);
  }
  return paths;
}

void Opener::add_source(const std::string& name) {
  out_.source += (out_.source.empty() ? "" : ", ") + name;
  out_.pieces.emplace_back(name, 0);
}

Bytes& Opener::add_column(ColumnSchema column, int64_t rows) {
  size_t bytes = schema_only_ ? 0 : static_cast<size_t>(rows * column.type.bytes());
  out_.schema.columns.push_back(std::move(column));
  out_.columns.push_back(Bytes::allocate(bytes));
  return out_.columns.back();
}

ColumnSchema Opener::target(const std::vector<std::string>& classes, bool class_target) const {
  ColumnSchema y;
  y.name = "y";
  y.target = true;
  y.type = class_target ? Type{DType::i32, {}} : Type{DType::f32, {1}};
  y.meaning = class_target ? ColumnSchema::Meaning::index : ColumnSchema::Meaning::number;
  y.classes = classes;
  return y;
}
const Bytes* Dataset::find(const std::string& column) const {
  for (size_t i = 0; i < schema.columns.size(); ++i)
    if (schema.columns[i].name == column) return &columns[i];
  return nullptr;
}

Dataset open_dataset(const DataSettings& settings) { return Opener(settings, false).run(); }
Schema read_schema(const DataSettings& settings) { return Opener(settings, true).run().schema; }

}  // namespace mlc
