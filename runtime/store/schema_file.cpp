#include "runtime/store/schema_file.h"

#include "compiler/base/diagnostics.h"

#include <nlohmann/json.hpp>

namespace mlc {
namespace {

using Json = nlohmann::ordered_json;
using Meaning = ColumnSchema::Meaning;

constexpr std::pair<Meaning, const char*> kMeanings[] = {{Meaning::number, "number"}, {Meaning::index, "index"}, {Meaning::free, "free"}};

Json column_json(const ColumnSchema& c) {
  Json j = {{"name", c.name}, {"type", dtype_name(c.type.dtype)}, {"shape", c.type.shape}, {"target", c.target}};
  for (const auto& [meaning, name] : kMeanings)
    if (meaning == c.meaning) j["meaning"] = name;
  if (!c.classes.empty()) j["classes"] = c.classes;
  if (!c.counts.empty()) j["counts"] = c.counts;
  if (!c.features.empty()) j["features"] = c.features;
  if (c.range != 1) j["range"] = c.range;
  for (const ColumnSchema::Category& category : c.categories)
    j["categories"].push_back({{"column", category.column}, {"labels", category.labels}});
  if (!c.fills.empty()) j["fills"] = c.fills;
  return j;
}

ColumnSchema column_of(const Json& j) {
  ColumnSchema c;
  c.name = j.at("name").get<std::string>();
  if (!parse_dtype(j.at("type").get<std::string>(), &c.type.dtype)) throw std::invalid_argument("an element type");
  c.type.shape = j.at("shape").get<Shape>();
  for (int64_t extent : c.type.shape)
    if (extent < 1) throw std::invalid_argument("a shape");
  c.target = j.at("target").get<bool>();
  for (const auto& [meaning, name] : kMeanings)
    if (j.at("meaning") == name) c.meaning = meaning;
  c.classes = j.value("classes", std::vector<std::string>{});
  c.counts = j.value("counts", std::vector<int64_t>{});
  c.features = j.value("features", std::vector<std::string>{});
  c.range = j.value("range", 1.0);
  for (const Json& category : j.value("categories", Json::array()))
    c.categories.push_back({category.at("column").get<std::string>(), category.at("labels").get<std::vector<std::string>>()});
  c.fills = j.value("fills", std::vector<double>{});
  return c;
}

}  // namespace

std::string schema_to_text(const Schema& schema) {
  Json j = {{"dataset", schema.dataset}, {"columns", Json::array()}};
  for (const ColumnSchema& c : schema.columns) j["columns"].push_back(column_json(c));
  // Bytes are no JSON text; their vocabulary is known.
  if (schema.byte_tokens) j["tokens"] = "byte";
  else if (!schema.vocabulary.empty()) j["vocabulary"] = schema.vocabulary;
  return j.dump();
}

Schema schema_from_text(const std::string& text, const std::string& path) {
  try {
    Json j = Json::parse(text);
    Schema schema;
    schema.dataset = j.at("dataset").get<std::string>();
    for (const Json& column : j.at("columns")) schema.columns.push_back(column_of(column));
    schema.byte_tokens = j.value("tokens", std::string()) == "byte";
    if (schema.byte_tokens)
      for (int b = 0; b < 256; ++b) schema.vocabulary.emplace_back(1, static_cast<char>(b));
    else schema.vocabulary = j.value("vocabulary", std::vector<std::string>{});
    return schema;
  } catch (const std::exception& e) {
    throw RuntimeError(path + ": the description of the data is damaged (" + e.what() + ")");
  }
}

}  // namespace mlc
