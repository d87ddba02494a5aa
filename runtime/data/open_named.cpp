// Datasets by name: MNIST-like image files in a folder, or a table that comes with mlc.
#include "runtime/data/opener.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "runtime/data/idx.h"
#include "runtime/data/resize.h"
#include "runtime/data/split.h"
#include "runtime/data/table.h"

#include <algorithm>
#include <array>
#include <filesystem>

namespace mlc {

namespace fs = std::filesystem;

void Opener::named(const Placed& name, const std::vector<LoadTransform>& transforms) {
  const Known* known = nullptr;
  for (const Known& k : known_datasets())
    if (name.text == k.name) known = &k;
  if (!known) {
    std::vector<std::string> names = dataset_names();
    throw SpecError(
        misnamed(name.loc, "unknown dataset '" + name.text + "'", nearest(name.text, names), "; datasets are " + join(names, ", ")));
  }
  out_.schema.dataset = name.text;
  if (known->images) return images(name, *known, transforms);
  std::string file = existing_file(bundled_folder() + "/" + name.text + ".csv");
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

void Opener::images(const Placed& name, const Known& known, const std::vector<LoadTransform>& transforms) {
  std::vector<std::string> looked;
  for (const std::string& folder : s_.folders) {
    std::string base = (fs::path(folder) / known.name).string();
    looked.push_back(base);
    std::array<std::string, 4> files = {existing_file(base + "/train-images-idx3-ubyte"), existing_file(base + "/train-labels-idx1-ubyte"),
                                        existing_file(base + "/t10k-images-idx3-ubyte"), existing_file(base + "/t10k-labels-idx1-ubyte")};
    if (std::any_of(files.begin(), files.end(), [](const std::string& f) { return f.empty(); })) continue;
    out_.source = std::string(known.name) + " in " + folder;
    parts_ = {0, 2};
    idx_files({{files[0], files[1]}, {files[2], files[3]}}, known.classes, transforms);
    return;
  }
  std::string where = "dataset '" + name.text + "' was not found; looked in " + join(looked, ", ");
  if (!s_.fallback)
    throw MissingData(Diagnostic{.loc = name.loc,
                                 .text = "dataset '" + name.text + "' was not found",
                                 .lines = {"looked in " + join(looked, ", "),
                                           "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
                                           "t10k-labels-idx1-ubyte.gz into one of these folders, or set MLC_DATA"}});
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
}  // namespace mlc
