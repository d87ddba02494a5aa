// Images in IDX files.
#include "runtime/data/opener.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "runtime/data/idx.h"
#include "runtime/data/resize.h"

#include <algorithm>
#include <filesystem>
#include <future>

namespace mlc {

namespace fs = std::filesystem;

void Opener::idx() {
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

void Opener::idx_files(const std::vector<std::pair<std::string, std::string>>& files, std::vector<std::string> classes,
                       const std::vector<LoadTransform>& transforms) {
  Shape sample;
  std::vector<int64_t> counts;
  bool labelled = !files[0].second.empty();
  for (const auto& [images, labels] : files) {
    Shape shape = idx_shape(images);
    counts.push_back(shape[0]);
    shape.erase(shape.begin());
    if (shape.size() == 2) shape.insert(shape.begin(), 1);
    if (!sample.empty() && shape != sample)
      throw RuntimeError(images + ": samples of shape " + format_shape(shape) + ", but " + format_shape(sample) + " in the first file");
    sample = shape;
    if (labels.empty() == labelled) throw RuntimeError(images + ": either all parts have labels, or none");
    if (labelled)
      if (Shape l = idx_shape(labels); l != Shape{counts.back()})
        throw RuntimeError(labels + ": labels of shape " + format_shape(l) + " for " + std::to_string(counts.back()) + " images");
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
  if (labelled && most >= static_cast<int32_t>(classes.size()))
    throw RuntimeError(files[0].second + ": label " + std::to_string(most) + " where there are " + std::to_string(classes.size()) +
                       " classes");
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

void Opener::resize(const std::vector<LoadTransform>& transforms) {
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
}  // namespace mlc
