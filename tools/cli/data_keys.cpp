#include "tools/cli/data_keys.h"

#include "compiler/base/text.h"
#include "runtime/data/dataset.h"

#include <algorithm>

namespace mlc {
namespace {

struct KeyUse {
  const char* key;
  std::vector<std::string> kinds;   // readers, and "table" for such datasets by name
};

const std::vector<KeyUse>& key_uses() {
  static const std::vector<std::string> kFiles = {"csv", "idx", "npy", "safetensors", "synthetic", "text"};
  // clang-format off
  static const std::vector<KeyUse> table = {
      {"path", kFiles}, {"train", kFiles}, {"val", kFiles}, {"test", kFiles},
      {"header", {"csv"}}, {"skip_rows", {"csv"}}, {"delimiter", {"csv"}},
      {"columns", {"csv", "table"}}, {"types", {"csv", "table"}}, {"missing", {"csv", "table"}}, {"inputs", {"csv", "table"}},
      {"positive", {"csv", "table"}},
      {"target", {"csv", "table", "npy", "safetensors"}},
      {"classes", {"csv", "table", "idx", "npy", "safetensors", "text"}},
  };
  // clang-format on
  return table;
}

std::string kind_of(const Node& data) {
  if (const Node* reader = data.find("reader")) return reader->text;
  const Node* dataset = data.find("dataset");
  if (!dataset) return "";
  std::vector<std::string> names = dataset_names();
  if (!std::count(names.begin(), names.end(), dataset->text)) return "";
  return known_schema(dataset->text) ? "images" : "table";
}

}  // namespace

void check_data_keys(const Node& data, Diagnostics& diagnostics) {
  std::string kind = kind_of(data);
  if (kind.empty()) return;
  for (const KeyUse& use : key_uses()) {
    const Node* key = data.find_key(use.key);
    if (!key || std::count(use.kinds.begin(), use.kinds.end(), kind)) continue;
    std::string what = data.find("dataset") ? "dataset '" + data.find("dataset")->text + "'" : "reader '" + kind + "'";
    std::vector<std::string> goes;
    for (const std::string& k : use.kinds) goes.push_back(k == "table" ? "datasets that are tables" : k);
    diagnostics.error(key->loc, "'" + std::string(use.key) + "' means nothing to " + what + "; it goes with " + join(goes, ", "));
  }
}

void check_fallback(const DataSettings& s, Diagnostics& diagnostics) {
  std::optional<Schema> wanted = known_schema(s.dataset.text);
  std::vector<std::string> names = dataset_names();
  if (!s.fallback || !wanted || !std::count(names.begin(), names.end(), s.fallback->dataset.text)) return;
  std::optional<Schema> given = known_schema(s.fallback->dataset.text);
  auto describe = [](const Schema& schema, const std::vector<LoadTransform>& transforms) {
    Shape shape = schema.columns[0].type.shape;
    for (const LoadTransform& t : transforms)
      if (t.kind == LoadTransform::Kind::resize) shape = {shape[0], t.height, t.width};
    return format_shape(shape) + ", " + std::to_string(schema.columns[1].classes.size()) + " classes";
  };
  std::string expected = describe(*wanted, s.transforms), found = given ? describe(*given, s.fallback->transforms) : "a table";
  if (expected == found) return;
  Diagnostic d{.loc = s.fallback->dataset.loc, .text = "the fallback must give samples as the dataset does"};
  d.lines = {"expected  " + expected, "found     " + found};
  diagnostics.report(std::move(d));
}

}  // namespace mlc
