// Rows for `predict`: the inputs of a model from a file of any reader.
#include "runtime/data/dataset.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "runtime/data/resize.h"
#include "runtime/data/text_file.h"
#include "runtime/store/npy.h"
#include "runtime/store/safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace mlc {

namespace fs = std::filesystem;

namespace {

// The settings under which a table gives the features of these inputs, one after the other: categories with the labels of
// training, missing values with its means.
CsvSettings feature_settings(CsvSettings csv, const std::vector<const ColumnSchema*>& inputs, std::vector<LoadTransform>* transforms) {
  csv.target = {};
  csv.targets.clear();
  csv.inputs.clear();
  csv.columns.clear();
  csv.types.clear();
  csv.fills.clear();
  if (csv.fill == "drop") csv.fill.clear();
  LoadTransform one_hot{.kind = LoadTransform::Kind::one_hot};
  bool any_fills = std::any_of(inputs.begin(), inputs.end(), [](const ColumnSchema* x) { return !x->fills.empty(); });
  for (const ColumnSchema* x : inputs) {
    bool indices = !is_float(x->type.dtype);
    for (const ColumnSchema::Category& c : x->categories) {
      csv.labels[c.column] = c.labels;
      csv.types.push_back({{c.column, {}}, true});
      if (!indices) one_hot.columns.push_back({c.column, {}});
    }
    csv.fills.insert(csv.fills.end(), x->fills.begin(), x->fills.end());
    if (any_fills && x->fills.empty()) csv.fills.resize(csv.fills.size() + x->features.size());   // indices are never filled
    // Features of a one-hot category stand together, in the place of its column.
    size_t category = 0;
    for (size_t f = 0; f < x->features.size();) {
      bool of_category = !indices && category < x->categories.size() &&
                         x->features[f] == x->categories[category].column + "=" + x->categories[category].labels.at(0);
      csv.columns.push_back({of_category ? x->categories[category].column : x->features[f], {}});
      f += of_category ? x->categories[category++].labels.size() : 1;
    }
  }
  if (!one_hot.columns.empty()) transforms->push_back(std::move(one_hot));
  return csv;
}

// Indices of the other width.
Bytes converted(const Bytes& from, DType type, const std::string& path) {
  size_t width = static_cast<size_t>(dtype_bytes(type)), n = from.size() / width;
  Bytes out = Bytes::allocate(n * (12 - width));
  for (size_t i = 0; i < n; ++i) {
    int64_t value = 0;
    int32_t narrow = 0;
    if (type == DType::i64) std::memcpy(&value, from.data() + i * width, width);
    else std::memcpy(&narrow, from.data() + i * width, width), value = narrow;
    narrow = static_cast<int32_t>(value);
    if (narrow != value) throw RuntimeError(path + ": the index " + std::to_string(value) + " is too large");
    if (type == DType::i64) std::memcpy(out.writable() + i * 4, &narrow, 4);
    else std::memcpy(out.writable() + i * 8, &value, 8);
  }
  return out;
}

}  // namespace

Dataset read_inputs(const std::string& path, const Schema& schema, const DataSettings& trained) {
  std::vector<const ColumnSchema*> inputs;
  for (const ColumnSchema& c : schema.columns)
    if (!c.target) inputs.push_back(&c);
  ensure(!inputs.empty(), "predict: the data have no input column");
  const ColumnSchema* x = inputs[0];
  std::string name = path;
  if (name.size() > 3 && name.substr(name.size() - 3) == ".gz") name.resize(name.size() - 3);
  std::string ending = fs::path(name).extension().string();
  DataSettings s;
  s.folders = {"."};
  s.all = SourceSettings{};
  s.all->path = {path, {}};
  if (ending == ".safetensors" || ending == ".npy") {
    s.reader = ending.substr(1);
    s.all->tensors = {{{x->name, {}}, {ending == ".npy" ? path : x->name, {}}}};
    // Tensors that are free for formulas may be missing: whether the model reads them shows when it runs.
    for (size_t i = 1; i < inputs.size() && ending == ".safetensors"; ++i)
      if (SafetensorsFile(path).find(inputs[i]->name)) s.all->tensors.push_back({{inputs[i]->name, {}}, {inputs[i]->name, {}}});
  } else if (ending == ".csv" || ending == ".tsv" || ending == ".txt" || path == kStandardInput) {
    if (x->features.empty())
      throw RuntimeError(path + ": the model takes rows of shape " + format_shape(x->type.shape) +
                         ", no table: give a file of .safetensors or .npy");
    s.reader = "csv";
    s.csv = feature_settings(trained.csv, inputs, &s.transforms);
    s.csv.inputs.clear();
    for (size_t i = 0; inputs.size() > 1 && i < inputs.size(); ++i) {
      std::vector<LoadTransform> ignored;
      s.csv.inputs.push_back({{inputs[i]->name, {}}, feature_settings(trained.csv, {inputs[i]}, &ignored).columns});
    }
  } else {
    s.reader = "idx";
    for (const LoadTransform& transform : trained.transforms)
      if (transform.kind == LoadTransform::Kind::resize) s.transforms.push_back(transform);
    s.all->tensors = {{{"x", {}}, {path, {}}}};
  }
  Dataset out;
  try {
    out = open_dataset(s);
  } catch (const SpecError& e) {
    throw RuntimeError(path + ": " + e.what());
  }
  for (size_t i = 0; i < out.columns.size(); ++i) {
    const ColumnSchema* wanted = schema.find(out.schema.columns[i].name);
    if (!wanted) wanted = x;
    Type& found = out.schema.columns[i].type;
    if (found.shape != wanted->type.shape)
      throw RuntimeError(path + ": rows of shape " + format_shape(found.shape) + "; the model takes " + format_shape(wanted->type.shape));
    auto integer = [](DType t) { return t == DType::i32 || t == DType::i64; };
    if (found.dtype == wanted->type.dtype) continue;
    if (!integer(found.dtype) || !integer(wanted->type.dtype))
      throw RuntimeError(path + ": rows of type " + std::string(dtype_name(found.dtype)) + "; the model takes " +
                         std::string(dtype_name(wanted->type.dtype)));
    out.columns[i] = converted(out.columns[i], found.dtype, path);
    found.dtype = wanted->type.dtype;
  }
  return out;
}

}  // namespace mlc
