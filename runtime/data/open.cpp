#include "compiler/base/diagnostics.h"
#include "compiler/base/hash.h"
#include "compiler/base/philox.h"
#include "compiler/base/text.h"
#include "runtime/data/class_counts.h"
#include "runtime/data/dataset.h"
#include "runtime/data/idx.h"
#include "runtime/data/resize.h"
#include "runtime/data/split.h"
#include "runtime/data/table.h"
#include "runtime/data/text_file.h"
#include "runtime/data/text_reader.h"
#include "runtime/store/npy.h"
#include "runtime/store/safetensors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <future>
#include <map>
#include <numeric>
#include <set>

namespace mlc {
namespace {

constexpr int64_t kSyntheticTerms = 16;   // inputs that each target of synthetic data depends on

namespace fs = std::filesystem;

/// Datasets by name: MNIST-like IDX files in a folder of that name, or a table that comes with mlc.
struct Known {
  const char* name;
  bool images;
  const char* target;
  std::vector<std::string> classes;      // of a class target, in index order
  Shape shape;                           // of tables of pixels
  double range;
};

const std::vector<Known>& known_datasets() {
  static const std::vector<Known> table = {
      {"mnist", true, "", {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, {}, 255},
      {"fashion_mnist", true, "", {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}, {}, 255},
      {"iris", false, "species", {"setosa", "versicolor", "virginica"}, {}, 1},
      {"breast_cancer", false, "diagnosis", {"malignant", "benign"}, {}, 1},
      {"wine", false, "cultivar", {"class_0", "class_1", "class_2"}, {}, 1},
      {"digits", false, "digit", {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, {1, 8, 8}, 16},
      {"diabetes", false, "progression", {}, {}, 1},
  };
  return table;
}

std::string existing(const std::string& path) {
  std::error_code fault;
  for (const char* ending : {"", ".gz"})
    if (fs::is_regular_file(path + ending, fault)) return path + ending;
  return "";
}

class Opener {
public:
  Opener(const DataSettings& s, bool schema_only) : s_(s), schema_only_(schema_only) {}

  Dataset run() {
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
    for (size_t i = 0; !schema_only_ && i < out_.columns.size(); ++i)
      if (ColumnSchema& c = out_.schema.columns[i]; c.target && c.meaning == ColumnSchema::Meaning::index) c.counts = class_counts(c, out_.columns[i], out_.train);
    return std::move(out_);
  }

private:
  // --- places ---
  std::string find(const Placed& path) {
    if (path.text == kStandardInput && !path.loc.file) return path.text;
    bool absolute = fs::path(path.text).is_absolute();
    for (const std::string& folder : absolute ? std::vector<std::string>{""} : s_.folders)
      if (std::string found = existing((fs::path(folder) / path.text).string()); !found.empty()) {
        if (!s_.home.empty() && !path.trusted && !within(found, folder))
          throw SpecError(path.loc, "'" + path.text + "' lies outside of the spec's folder; --allow-outside lets a spec read it");
        return out_.files[path.text] = found;
      }
    Diagnostic d{.loc = path.loc, .text = "no such file: '" + path.text + "'"};
    if (!fs::path(path.text).is_absolute()) d.lines.push_back("looked in " + join(s_.folders, ", "));
    throw MissingData(std::move(d));
  }

  // In the tree of the spec's folder with links followed, or in a folder that is not the spec's to choose.
  bool within(const std::string& file, const std::string& folder) const {
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

  // The sources that the settings name, with the part of each: 0 train, 1 val, 2 test; or one of all rows.
  std::vector<std::pair<int, const SourceSettings*>> parts() const {
    std::vector<std::pair<int, const SourceSettings*>> out;
    if (s_.all) return {{-1, &*s_.all}};
    if (s_.train) out.push_back({0, &*s_.train});
    if (s_.val) out.push_back({1, &*s_.val});
    if (s_.test) out.push_back({2, &*s_.test});
    if (out.empty()) throw SpecError(s_.loc, "'data' needs a 'path', or 'train' with its source");
    return out;
  }

  std::vector<std::string> sources() {
    std::vector<std::string> paths;
    for (auto [part, source] : parts()) {
      if (source->path.text.empty()) throw SpecError(source->loc, "this source needs a 'path'");
      paths.push_back(find(source->path));
      parts_.push_back(part);
      add_source(source->path.text);
    }
    return paths;
  }

  void add_source(const std::string& name) {
    out_.source += (out_.source.empty() ? "" : ", ") + name;
    out_.pieces.emplace_back(name, 0);
  }

  // --- named datasets ---
  void named(const Placed& name, const std::vector<LoadTransform>& transforms) {
    const Known* known = nullptr;
    for (const Known& k : known_datasets())
      if (name.text == k.name) known = &k;
    if (!known) {
      std::string near = nearest(name.text, dataset_names());
      throw SpecError({.loc = name.loc, .text = "unknown dataset '" + name.text + "'" + (near.empty() ? "; datasets are " + join(dataset_names(), ", ") : "; did you mean '" + near + "'?"), .fix = near});
    }
    out_.schema.dataset = name.text;
    if (known->images) return images(name, *known, transforms);
    std::string file = existing(bundled_folder() + "/" + name.text + ".csv");
    if (file.empty()) throw RuntimeError("the bundled table of '" + name.text + "' is not in " + bundled_folder());
    // The spec's keys go before what is known of the table.
    CsvSettings csv = s_.csv;
    if (csv.targets.empty()) {
      if (csv.target.column.text.empty()) csv.target.column = {known->target, name.loc};
      if (csv.target.column.text == known->target && !csv.target.class_target) {
        csv.target.classes = known->classes;
        csv.target.class_target = !known->classes.empty();
      }
    }
    out_.source = name.text + " (bundled)";
    parts_ = {-1};
    std::vector<LoadTransform> rest;
    bool pixels = !known->shape.empty();
    for (const LoadTransform& t : transforms)
      if (!pixels || t.kind != LoadTransform::Kind::resize) rest.push_back(t);
    Table t = read_table({file}, csv, s_.split, rest, s_.loc);
    if (pixels) pixel_table(t, *known, transforms);
    else finish_table(std::move(t), csv);
  }

  void images(const Placed& name, const Known& known, const std::vector<LoadTransform>& transforms) {
    std::vector<std::string> looked;
    for (const std::string& folder : s_.folders) {
      std::string base = (fs::path(folder) / known.name).string();
      looked.push_back(base);
      std::array<std::string, 4> files = {existing(base + "/train-images-idx3-ubyte"), existing(base + "/train-labels-idx1-ubyte"), existing(base + "/t10k-images-idx3-ubyte"), existing(base + "/t10k-labels-idx1-ubyte")};
      if (std::any_of(files.begin(), files.end(), [](const std::string& f) { return f.empty(); })) continue;
      out_.source = std::string(known.name) + " in " + folder;
      parts_ = {0, 2};
      idx_files({{files[0], files[1]}, {files[2], files[3]}}, known.classes, transforms);
      return;
    }
    std::string where = "dataset '" + name.text + "' was not found; looked in " + join(looked, ", ");
    if (!s_.fallback)
      throw MissingData(Diagnostic{.loc = name.loc, .text = "dataset '" + name.text + "' was not found",
                                   .lines = {"looked in " + join(looked, ", "),
                                             "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz into one of these folders, or set MLC_DATA"}});
    const DataSettings::Fallback& fallback = *s_.fallback;
    named(fallback.dataset, fallback.transforms);
    out_.missing_dataset = where;
    out_.source = fallback.dataset.text + " instead of " + name.text;
    // The stand-in has no test part of its own.
    if (out_.test.empty()) {
      SplitSettings split{.train = 0.8, .test = 0.2, .loc = fallback.dataset.loc};
      assign_split(split);
    }
  }

  // --- columns ---
  Bytes& add_column(ColumnSchema column, int64_t rows) {
    size_t bytes = schema_only_ ? 0 : static_cast<size_t>(rows * column.type.bytes());
    out_.schema.columns.push_back(std::move(column));
    out_.columns.push_back(Bytes::allocate(bytes));
    return out_.columns.back();
  }
  template <class T> void add_values(ColumnSchema column, const std::vector<T>& values, int64_t rows) {
    Bytes& b = add_column(std::move(column), rows);
    if (!schema_only_) std::memcpy(b.writable(), values.data(), values.size() * sizeof(T));
  }
  ColumnSchema target(const std::vector<std::string>& classes, bool class_target) const {
    ColumnSchema y;
    y.name = "y";
    y.target = true;
    y.type = class_target ? Type{DType::i32, {}} : Type{DType::f32, {1}};
    y.meaning = class_target ? ColumnSchema::Meaning::index : ColumnSchema::Meaning::number;
    y.classes = classes;
    return y;
  }

  // --- tables ---
  void table(const std::vector<std::string>& paths, const CsvSettings& csv) {
    out_.schema.dataset = fs::path(paths[0]).filename().string();
    finish_table(read_table(paths, csv, s_.split, s_.transforms, s_.loc), csv);
  }

  void finish_table(Table t, const CsvSettings& csv) {
    out_.rows = t.rows;
    take_labels(t);
    keys_ = t.keys;
    assign(t.part_rows);
    fill_missing(t, csv, out_.train);
    for (const auto& [name, columns] : csv.inputs) add_input(t, name.text, columns);
    if (csv.inputs.empty()) add_all_features(t);
    for (const Table::Target& y : t.targets) add_target(y, t.rows);
  }

  // Class targets stratify by the first of them.
  void take_labels(const Table& t) {
    for (const Table::Target& y : t.targets)
      if (y.class_target && labels_.empty()) labels_ = y.labels;
  }

  void add_target(const Table::Target& y, int64_t rows) {
    ColumnSchema column = target(y.classes, y.class_target);
    column.name = y.name;
    column.features = {y.column};
    if (y.class_target) add_values(column, y.labels, rows);
    else add_values(column, y.values, rows);
  }

  // Categories that are not one-hot make an input of indices, and share it with nothing else.
  bool of_indices(const Table& t, const std::vector<size_t>& chosen, Loc loc) const {
    auto coded = static_cast<size_t>(std::count_if(chosen.begin(), chosen.end(), [&](size_t f) { return t.coded[f]; }));
    if (coded == 0 || coded == chosen.size()) return coded > 0;
    std::string name = t.features[*std::find_if(chosen.begin(), chosen.end(), [&](size_t f) { return t.coded[f]; })];
    throw SpecError(loc, "'" + name + "' is a category among numbers: encode it with one_hot: {columns: [" + name + "]}, or give it an input of its own for an embedding, data.inputs: {" + name + ": " + name + ", ...}");
  }

  void add_indices(ColumnSchema x, const std::vector<float>& values, int64_t rows) {
    x.type.dtype = DType::i32;
    x.meaning = ColumnSchema::Meaning::free;
    x.fills.clear();
    add_values(x, std::vector<int32_t>(values.begin(), values.end()), rows);
  }

  void add_input(const Table& t, const std::string& name, const std::vector<Placed>& columns) {
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

  void add_all_features(const Table& t) {
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

  void pixel_table(const Table& t, const Known& known, const std::vector<LoadTransform>& transforms) {
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

  // --- images ---
  void idx() {
    std::vector<std::pair<std::string, std::string>> files;
    for (auto [part, source] : parts()) {
      std::string x, y;
      for (const auto& [column, file] : source->tensors) {
        if (column.text == "x") x = find(file);
        else if (column.text == "y") y = find(file);
        else throw SpecError(column.loc, "an idx source has the columns x and y, not '" + column.text + "'");
      }
      if (x.empty()) throw SpecError(source->loc, "an idx source needs 'x', the file of images");
      files.push_back({x, y});
      parts_.push_back(part);
      add_source(fs::path(x).filename().string());
    }
    out_.schema.dataset = fs::path(files[0].first).filename().string();
    idx_files(files, s_.csv.target.classes, s_.transforms);
  }

  void idx_files(const std::vector<std::pair<std::string, std::string>>& files, std::vector<std::string> classes, const std::vector<LoadTransform>& transforms) {
    Shape sample;
    std::vector<int64_t> counts;
    bool labelled = !files[0].second.empty();
    for (const auto& [images, labels] : files) {
      Shape shape = idx_shape(images);
      counts.push_back(shape[0]);
      shape.erase(shape.begin());
      if (shape.size() == 2) shape.insert(shape.begin(), 1);
      if (!sample.empty() && shape != sample) throw RuntimeError(images + ": samples of shape " + format_shape(shape) + ", but " + format_shape(sample) + " in the first file");
      sample = shape;
      if (labels.empty() == labelled) throw RuntimeError(images + ": either all parts have labels, or none");
      if (labelled)
        if (Shape l = idx_shape(labels); l != Shape{counts.back()}) throw RuntimeError(labels + ": labels of shape " + format_shape(l) + " for " + std::to_string(counts.back()) + " images");
    }
    for (int64_t c : counts) out_.rows += c;
    std::vector<std::byte> raw(static_cast<size_t>(out_.rows));
    std::byte* at = raw.data();
    for (size_t i = 0; labelled && i < files.size(); ++i) read_idx(files[i].second, at), at += counts[i];
    std::transform(raw.begin(), raw.end(), std::back_inserter(labels_), [](std::byte b) { return static_cast<int32_t>(b); });
    if (!labelled) labels_.clear();
    int32_t most = labels_.empty() ? 0 : *std::max_element(labels_.begin(), labels_.end());
    if (classes.empty())
      for (int32_t i = 0; i <= most; ++i) classes.push_back(std::to_string(i));
    if (labelled && most >= static_cast<int32_t>(classes.size())) throw RuntimeError(files[0].second + ": label " + std::to_string(most) + " where there are " + std::to_string(classes.size()) + " classes");
    ColumnSchema x;
    x.name = "x";
    x.type = {DType::u8, sample};
    x.range = 255;
    Bytes& pixels = add_column(x, out_.rows);
    // Inflating is most of the time until the first step: the parts are read side by side.
    std::byte* to = schema_only_ ? nullptr : pixels.writable();
    std::vector<std::future<void>> reading;
    for (size_t i = 0; !schema_only_ && i < files.size(); ++i) {
      reading.push_back(std::async(std::launch::async, [path = files[i].first, to] { read_idx(path, to); }));
      to += counts[i] * element_count(sample);
    }
    for (auto& r : reading) r.get();
    resize(transforms);
    assign(counts);
    if (labelled) add_values(target(classes, true), labels_, out_.rows);
  }

  void resize(const std::vector<LoadTransform>& transforms) {
    for (const LoadTransform& t : transforms) {
      if (t.kind != LoadTransform::Kind::resize) throw SpecError(t.loc, "one_hot needs a table; these are images");
      ColumnSchema& x = out_.schema.columns[0];
      Shape from = x.type.shape;
      x.type.shape = {from[0], t.height, t.width};
      Bytes out = Bytes::allocate(schema_only_ ? 0 : static_cast<size_t>(out_.rows * x.type.bytes()));
      if (!schema_only_) resize_images(out_.columns[0].data(), out_.rows, from[0], from[1], from[2], t.height, t.width, out.writable());
      out_.columns[0] = std::move(out);
    }
  }

  // --- text ---
  void text() {
    std::vector<TextFile> files;
    for (auto [part, source] : parts()) {
      if (source->path.text.empty()) throw SpecError(source->loc, "this source needs a 'path'");
      files.push_back({part, find(source->path), source});
      add_source(source->path.text);
    }
    if (files.size() > 1) out_.pieces.clear();   // rows of parts are not in order of the files
    if (files[0].part > 0) throw SpecError(s_.loc, "a text needs 'train': its source gives the vocabulary");
    out_.schema.dataset = fs::path(files[0].path).filename().string();
    TextData t = read_text(files, s_);
    out_.schema.vocabulary = t.vocabulary.entries();
    out_.schema.byte_tokens = t.vocabulary.of_bytes();
    out_.rows = t.rows;
    ColumnSchema x;
    x.name = "x";
    x.type = {DType::i32, {t.window}};
    x.meaning = ColumnSchema::Meaning::free;
    x.pitch = t.stride;
    ColumnSchema y = x;
    y.name = "y";
    y.target = true;
    y.meaning = ColumnSchema::Meaning::index;
    for (const std::string& token : t.vocabulary.entries()) y.classes.push_back(show_token(token));
    // The target is the same stream, one token further.
    out_.schema.columns = {x, y};
    out_.columns = {t.tokens, t.tokens.part(sizeof(int32_t), t.tokens.size() - sizeof(int32_t))};
    std::vector<int32_t>* lists[] = {&out_.train, &out_.val, &out_.test};
    for (size_t p = 0; p < 3; ++p) *lists[p] = std::move(t.parts[p]);
    subsets();
  }

  // --- tensors from files ---
  void tensors() {
    std::vector<std::pair<std::string, std::vector<HostTensor>>> columns;
    std::vector<int64_t> counts;
    for (auto [part, source] : parts()) {
      parts_.push_back(part);
      int64_t rows = -1;
      auto add = [&](const Placed& column, HostTensor tensor, const std::string& path) {
        if (tensor.type.shape.empty()) throw RuntimeError(path + ": '" + column.text + "' has no first axis to be the batch");
        if (rows >= 0 && rows != tensor.type.shape[0]) throw RuntimeError(path + ": '" + column.text + "' has " + std::to_string(tensor.type.shape[0]) + " rows where others have " + std::to_string(rows));
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

  // Which columns are targets: those that `target` names, else y.
  std::string target_name(const std::string& column) const {
    for (const TargetSettings& t : s_.csv.targets)
      if (t.column.text == column) return t.name;
    if (!s_.csv.targets.empty()) return "";
    const std::string& only = s_.csv.target.column.text;
    return column == (only.empty() ? "y" : only) ? "y" : "";
  }

  void check_targets(const std::vector<std::pair<std::string, std::vector<HostTensor>>>& columns) const {
    std::vector<std::string> names;
    for (const auto& [name, pieces] : columns) names.push_back(name);
    std::vector<Placed> wanted;
    for (const TargetSettings& t : s_.csv.targets) wanted.push_back(t.column);
    if (!s_.csv.target.column.text.empty()) wanted.push_back(s_.csv.target.column);
    for (const Placed& w : wanted)
      if (std::find(names.begin(), names.end(), w.text) == names.end()) throw SpecError(w.loc, "the data have no tensor '" + w.text + "'; they have " + join(names, ", "));
  }

  void add_tensor(const std::string& key, const std::vector<HostTensor>& pieces) {
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
    column.meaning = !is_target ? ColumnSchema::Meaning::free : is_float(type.dtype) ? ColumnSchema::Meaning::number : ColumnSchema::Meaning::index;
    if (type.dtype == DType::u8) column.range = 255;
    size_t bytes = 0;
    for (const HostTensor& p : pieces) {
      Type other = p.type;
      other.shape.erase(other.shape.begin());
      if (other != type) throw RuntimeError("column '" + name + "' is " + format_type(type) + " in one part and " + format_type(other) + " in another");
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

  // Class indices: their names, and a check that none is negative.
  void index_column(ColumnSchema& column, const Bytes& data) {
    int64_t most = -1, n = static_cast<int64_t>(data.size()) / dtype_bytes(column.type.dtype);
    for (int64_t i = 0; i < n; ++i) {
      int64_t v = index_at(data, column.type.dtype, i);
      if (v < 0) throw RuntimeError("column '" + column.name + "' holds the class index " + std::to_string(v));
      if (v > 1'000'000) throw RuntimeError("column '" + column.name + "' holds " + std::to_string(v) + ": too large for a class index");
      most = std::max(most, v);
      if (column.type.shape.empty()) labels_.push_back(static_cast<int32_t>(v));
    }
    column.classes = s_.csv.target.classes;
    int64_t count = std::max(most + 1, s_.csv.target.class_count);
    if (column.classes.empty())
      for (int64_t i = 0; i < count; ++i) column.classes.push_back(std::to_string(i));
  }

  // --- synthetic ---
  void synthetic() {
    std::vector<int64_t> counts;
    const SourceSettings* first = nullptr;
    for (auto [part, source] : parts()) {
      if (source->rows < 1) throw SpecError(source->loc, "a synthetic source needs 'rows'");
      if (!first) first = source;
      if (source->x != first->x || source->y != first->y || source->classes != first->classes) throw SpecError(source->loc, "synthetic parts must have the same x and y");
      parts_.push_back(part);
      counts.push_back(source->rows);
      out_.rows += source->rows;
    }
    double row_bytes = 4;
    for (int64_t extent : first->x) row_bytes *= static_cast<double>(extent);
    double bytes = row_bytes * static_cast<double>(out_.rows);
    if (bytes > static_cast<double>(machine_memory()) || out_.rows > INT32_MAX)
      throw SpecError(first->loc, "the synthetic data would have " + format_count(out_.rows) + " rows and " + format_bytes(bytes) + "; " +
                                      (out_.rows > INT32_MAX ? "2,147,483,647 rows are the most" : "there are " + format_bytes(static_cast<double>(machine_memory())) + " of memory"));
    out_.schema.dataset = out_.source = "synthetic";
    auto stream = [](const char* what) { return static_cast<uint32_t>(hash_bytes(std::string("synthetic:") + what)); };
    int64_t in = element_count(first->x), outputs = first->classes > 0 ? first->classes : element_count(first->y);
    ColumnSchema x;
    x.name = "x";
    x.type = {DType::f32, first->x};
    Bytes& xb = add_column(x, out_.rows);
    std::vector<int32_t> classes;
    std::vector<float> values;
    if (!schema_only_) {
      auto* to = reinterpret_cast<float*>(xb.writable());
      for (int64_t r = 0; r < out_.rows; ++r)
        for (int64_t i = 0; i < in; ++i) to[r * in + i] = static_cast<float>(philox_normal(s_.seed, stream("x"), 0, static_cast<uint32_t>(r), static_cast<uint32_t>(i)));
      // Targets follow a fixed random linear map of a few inputs each, so that there is something to learn.
      int64_t terms = std::min<int64_t>(in, kSyntheticTerms);
      std::vector<float> weights;
      for (int64_t o = 0; o < outputs; ++o)
        for (int64_t t = 0; t < terms; ++t)
          weights.push_back(static_cast<float>(philox_normal(s_.seed, stream("w"), 0, static_cast<uint32_t>(o), static_cast<uint32_t>(t)) / std::sqrt(static_cast<double>(terms))));
      for (int64_t r = 0; r < out_.rows; ++r) {
        const float *row = to + r * in, *weight = weights.data();
        double best = 0;
        int32_t which = 0;
        for (int64_t o = 0; o < outputs; ++o) {
          double sum = 0;
          for (int64_t t = 0; t < terms; ++t) sum += double{row[(o + t) % in]} * double{*weight++};
          if (o == 0 || sum > best) best = sum, which = static_cast<int32_t>(o);
          if (first->classes == 0) values.push_back(static_cast<float>(sum));
        }
        classes.push_back(which);
      }
    }
    if (first->classes > 0) {
      std::vector<std::string> names;
      for (int64_t i = 0; i < first->classes; ++i) names.push_back(std::to_string(i));
      labels_ = classes;
      add_values(target(names, true), classes, out_.rows);
    } else if (!first->y.empty()) {
      ColumnSchema y = target({}, false);
      y.type.shape = first->y;
      add_values(y, values, out_.rows);
    }
    assign(counts);
  }

  // --- parts ---
  // Gives rows to parts: as the sources say, split where fractions are given, cut by `subset`.
  void assign(const std::vector<int64_t>& counts) {
    for (size_t i = 0; i < out_.pieces.size() && i < counts.size(); ++i) out_.pieces[i].second = counts[i];
    std::vector<int32_t>* lists[] = {&out_.train, &out_.val, &out_.test};
    int32_t row = 0;
    bool one = parts_[0] < 0;
    for (size_t p = 0; p < counts.size(); ++p)
      for (int64_t i = 0; i < counts[p]; ++i) lists[one ? 0 : parts_[p]]->push_back(row++);
    const SplitSettings& split = s_.split;
    find_keys();
    if (split.train + split.val + split.test > 0) {
      SplitSettings s = split;
      if (!one && (s.test > 0 && !out_.test.empty())) throw SpecError(s.loc, "the data come with test rows: 'split' can take 'val' from the training rows");
      if (s.train == 0) s.train = std::max(0.0, 1 - s.val - s.test);
      assign_split(s);
    }
    if (split.folds > 0) assign_fold();
    subsets();
    if (s_.oversample) {
      if (labels_.empty()) throw SpecError(s_.loc, "'balance: oversample' needs a class target");
      out_.train = oversampled(out_.train, labels_);
    }
  }

  void subsets() {
    cut(out_.train, s_.subset_train, "train");
    cut(out_.val, s_.subset_val, "val");
    cut(out_.test, s_.subset_test, "test");
  }

  void assign_split(const SplitSettings& s) {
    Parts parts = split_rows(out_.train, keys_, s, s_.seed);
    out_.train = std::move(parts.train);
    if (s.val > 0) out_.val = std::move(parts.val);
    if (s.test > 0) out_.test = std::move(parts.test);
  }

  void assign_fold() {
    if (!out_.val.empty()) throw SpecError(s_.split.loc, "'k_fold' takes its validation rows from the training rows: the data have validation rows already");
    Parts parts = fold_rows(out_.train, keys_, s_.split, s_.seed);
    out_.train = std::move(parts.train);
    out_.val = std::move(parts.val);
  }

  // What the split deals by: columns it names, else the class target.
  void find_keys() {
    const SplitSettings& s = s_.split;
    if (!s.group.text.empty() && keys_.groups.empty()) keys_.groups = codes_of(s.group, "group");
    if (!s.stratify_by.text.empty() && keys_.strata.empty()) keys_.strata = codes_of(s.stratify_by, "stratify");
    bool grouped = !s.group.text.empty();
    if (grouped && s.stratify.value_or(false)) throw SpecError(s.loc, "'stratify' and 'group' exclude each other: groups stay whole");
    if (s.stratify.value_or(false) && s.stratify_by.text.empty() && labels_.empty()) throw SpecError(s.loc, "'stratify' needs a class target, or names a column");
    if (keys_.strata.empty() && !grouped && s.stratify.value_or(true)) keys_.strata = labels_;
    if (s.stratify_by.text.empty()) return;
    size_t kinds = std::set<int32_t>(keys_.strata.begin(), keys_.strata.end()).size();
    if (kinds > 2 && kinds * 5 > keys_.strata.size())
      throw SpecError(s.stratify_by.loc, "'" + s.stratify_by.text + "' has " + std::to_string(kinds) + " different values in " + std::to_string(keys_.strata.size()) + " rows: 'stratify' needs a column of few");
  }

  // A column of tensors with one integer a row.
  std::vector<int32_t> codes_of(const Placed& name, const char* key) const {
    for (size_t i = 0; i < out_.schema.columns.size() && i < out_.columns.size(); ++i) {
      const ColumnSchema& c = out_.schema.columns[i];
      if (c.name != name.text) continue;
      if (is_float(c.type.dtype) || c.type.elements() != 1) break;
      std::map<int64_t, int32_t> known;
      std::vector<int32_t> out;
      for (int64_t r = 0; r < out_.rows; ++r) {
        int64_t value = 0;
        std::memcpy(&value, out_.columns[i].data() + r * c.type.bytes(), static_cast<size_t>(c.type.bytes()));
        out.push_back(known.try_emplace(value, static_cast<int32_t>(known.size())).first->second);
      }
      return out;
    }
    throw SpecError(name.loc, std::string("'") + key + "' names a column of a table, or a tensor with one integer for each row; '" + name.text + "' is neither");
  }

  static void cut(std::vector<int32_t>& rows, const std::optional<RowRange>& range, const char* part) {
    if (!range) return;
    if (range->begin < 0 || range->end > static_cast<int64_t>(rows.size()) || range->begin >= range->end)
      throw SpecError(range->loc, std::string("the part '") + part + "' has " + std::to_string(rows.size()) + " rows; " + std::to_string(range->begin) + ".." + std::to_string(range->end) + " is not within");
    rows = std::vector<int32_t>(rows.begin() + range->begin, rows.begin() + range->end);
  }

  const DataSettings& s_;
  bool schema_only_;
  Dataset out_;
  std::vector<int> parts_;               // of each source; -1: of all rows
  std::vector<int32_t> labels_;
  SplitKeys keys_;
};

}  // namespace

const Bytes* Dataset::find(const std::string& column) const {
  for (size_t i = 0; i < schema.columns.size(); ++i)
    if (schema.columns[i].name == column) return &columns[i];
  return nullptr;
}

std::optional<Schema> known_schema(const std::string& dataset) {
  for (const Known& k : known_datasets())
    if ((k.images || !k.shape.empty()) && dataset == k.name) {
      ColumnSchema x{.name = "x", .type = {DType::u8, k.images ? Shape{1, 28, 28} : k.shape}, .range = k.range};
      ColumnSchema y{.name = "y", .type = {DType::i32, {}}, .target = true, .meaning = ColumnSchema::Meaning::index, .classes = k.classes};
      return Schema{.dataset = dataset, .columns = {x, y}};
    }
  return std::nullopt;
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> out;
  for (const Known& k : known_datasets()) out.push_back(k.name);
  return out;
}

std::string bundled_folder() {
  if (const char* set = std::getenv("MLC_TABLES")) return set;
  std::error_code fault;
  fs::path program = fs::read_symlink("/proc/self/exe", fault);
  for (const char* place : {"../../specs/data", "../specs/data", "../share/mlc/data", "../../../specs/data"})
    if (fs::path folder = program.parent_path() / place; fs::is_directory(folder, fault)) return fs::weakly_canonical(folder, fault).string();
  return "specs/data";
}

Dataset open_dataset(const DataSettings& settings) { return Opener(settings, false).run(); }
Schema read_schema(const DataSettings& settings) { return Opener(settings, true).run().schema; }

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
      bool of_category = !indices && category < x->categories.size() && x->features[f] == x->categories[category].column + "=" + x->categories[category].labels.at(0);
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

Dataset read_inputs(const std::string& path, const Schema& schema, const CsvSettings& csv) {
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
    if (x->features.empty()) throw RuntimeError(path + ": the model takes rows of shape " + format_shape(x->type.shape) + ", no table: give a file of .safetensors or .npy");
    s.reader = "csv";
    s.csv = feature_settings(csv, inputs, &s.transforms);
    s.csv.inputs.clear();
    for (size_t i = 0; inputs.size() > 1 && i < inputs.size(); ++i) {
      std::vector<LoadTransform> ignored;
      s.csv.inputs.push_back({{inputs[i]->name, {}}, feature_settings(csv, {inputs[i]}, &ignored).columns});
    }
  } else {
    s.reader = "idx";
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
    const Type& found = out.schema.columns[i].type;
    if (found.shape != wanted->type.shape) throw RuntimeError(path + ": rows of shape " + format_shape(found.shape) + "; the model takes " + format_shape(wanted->type.shape));
    auto integer = [](DType t) { return t == DType::i32 || t == DType::i64; };
    if (found.dtype != wanted->type.dtype && integer(found.dtype) && integer(wanted->type.dtype)) out.columns[i] = converted(out.columns[i], found.dtype, path);
    else if (found.dtype != wanted->type.dtype)
      throw RuntimeError(path + ": rows of type " + std::string(dtype_name(found.dtype)) + "; the model takes " + std::string(dtype_name(wanted->type.dtype)));
  }
  return out;
}

}  // namespace mlc
