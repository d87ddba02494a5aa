// Columns from safetensors and NumPy files.
#include "runtime/data/opener.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "runtime/data/class_counts.h"
#include "runtime/store/npy.h"
#include "runtime/store/safetensors.h"

#include <algorithm>
#include <cstring>

namespace mlc {

void Opener::tensors() {
  std::vector<std::pair<std::string, std::vector<HostTensor>>> columns;
  std::vector<int64_t> counts;
  for (auto [part, source] : parts()) {
    parts_.push_back(part);
    int64_t rows = -1;
    auto add = [&](const Placed& column, HostTensor tensor, const std::string& path) {
      if (tensor.type.shape.empty()) throw RuntimeError(path + ": '" + column.text + "' has no first axis to be the batch");
      if (rows >= 0 && rows != tensor.type.shape[0])
        throw RuntimeError(path + ": '" + column.text + "' has " + std::to_string(tensor.type.shape[0]) + " rows where others have " +
                           std::to_string(rows));
      rows = tensor.type.shape[0];
      auto it = std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.first == column.text; });
      if (it == columns.end()) it = columns.insert(columns.end(), {column.text, {}});
      it->second.push_back(std::move(tensor));
    };
    if (s_.reader == "safetensors") {
      std::string path = find(source->path);
      SafetensorsFile file(path);
      for (const auto& [column, name] : source->tensors) {
        const SafetensorsFile::Entry* entry = file.find(name.text);
        std::vector<std::string> names;
        for (const auto& e : file.entries()) names.push_back(e.name);
        if (!entry) throw SpecError(name.loc, "the file has no tensor '" + name.text + "'; it has " + join(names, ", "));
        add(column, file.read(*entry), path);
      }
      add_source(source->path.text);
    } else {
      std::vector<std::string> names;
      for (const auto& [column, file] : source->tensors) {
        std::string path = find(file);
        add(column, read_npy(path), path);
        names.push_back(file.text);
      }
      add_source(join(names, ", "));
    }
    if (rows < 0) throw SpecError(source->loc, "this source names no tensors: x: ..., y: ...");
    counts.push_back(rows);
  }
  for (int64_t c : counts) out_.rows += c;
  out_.schema.dataset = out_.source;
  check_targets(columns);
  for (auto& [name, pieces] : columns) add_tensor(name, pieces);
  assign(counts);
}

std::string Opener::target_name(const std::string& column) const {
  for (const TargetSettings& t : s_.csv.targets)
    if (t.column.text == column) return t.name;
  if (!s_.csv.targets.empty()) return "";
  const std::string& only = s_.csv.target.column.text;
  return column == (only.empty() ? "y" : only) ? "y" : "";
}

void Opener::check_targets(const std::vector<std::pair<std::string, std::vector<HostTensor>>>& columns) const {
  std::vector<std::string> names;
  for (const auto& [name, pieces] : columns) names.push_back(name);
  std::vector<Placed> wanted;
  for (const TargetSettings& t : s_.csv.targets) wanted.push_back(t.column);
  if (!s_.csv.target.column.text.empty()) wanted.push_back(s_.csv.target.column);
  for (const Placed& w : wanted)
    if (std::find(names.begin(), names.end(), w.text) == names.end())
      throw SpecError(w.loc, "the data have no tensor '" + w.text + "'; they have " + join(names, ", "));
}

void Opener::add_tensor(const std::string& key, const std::vector<HostTensor>& pieces) {
  if (pieces.size() != parts_.size()) throw SpecError(s_.loc, "column '" + key + "' is missing in one of the parts");
  std::string name = target_name(key);
  bool is_target = !name.empty();
  if (!is_target) name = key;
  Type type = pieces[0].type;
  type.shape.erase(type.shape.begin());
  ColumnSchema column;
  column.name = name;
  column.type = type;
  column.target = is_target;
  column.meaning = !is_target             ? ColumnSchema::Meaning::free
                   : is_float(type.dtype) ? ColumnSchema::Meaning::number
                                          : ColumnSchema::Meaning::index;
  if (type.dtype == DType::u8) column.range = 255;
  size_t bytes = 0;
  for (const HostTensor& p : pieces) {
    Type other = p.type;
    other.shape.erase(other.shape.begin());
    if (other != type)
      throw RuntimeError("column '" + name + "' is " + format_type(type) + " in one part and " + format_type(other) + " in another");
    bytes += p.data.size();
  }
  Bytes data = pieces[0].data;
  if (pieces.size() > 1) {
    data = Bytes::allocate(bytes);
    std::byte* to = data.writable();
    for (const HostTensor& p : pieces) std::memcpy(to, p.data.data(), p.data.size()), to += p.data.size();
  }
  if (column.meaning == ColumnSchema::Meaning::index) index_column(column, data);
  out_.schema.columns.push_back(std::move(column));
  out_.columns.push_back(std::move(data));
}

void Opener::index_column(ColumnSchema& column, const Bytes& data) {
  // A negative label, or one beyond the classes that the spec declares, is no class: a loss may ignore it, which is seen when there is a
  // model.
  int64_t declared = s_.csv.target.class_count;
  bool some_ignored = false;
  int64_t most = -1, n = static_cast<int64_t>(data.size()) / dtype_bytes(column.type.dtype);
  for (int64_t i = 0; i < n; ++i) {
    int64_t v = index_at(data, column.type.dtype, i);
    some_ignored |= v < 0 || (declared && v >= declared);
    if (v > 1'000'000) throw RuntimeError("column '" + column.name + "' holds " + std::to_string(v) + ": too large for a class index");
    most = std::max(most, v);
    if (column.type.shape.empty()) labels_.push_back(static_cast<int32_t>(v));
  }
  if (some_ignored) labels_.clear();   // strata and oversampling go by classes
  column.classes = s_.csv.target.classes;
  int64_t count = declared ? declared : most + 1;
  if (column.classes.empty())
    for (int64_t i = 0; i < count; ++i) column.classes.push_back(std::to_string(i));
}
}  // namespace mlc
