#include "tools/cli/declared.h"

#include "runtime/data/dataset.h"
#include "runtime/data/tokens.h"

#include <algorithm>

namespace mlc {
namespace {

using Meaning = ColumnSchema::Meaning;

std::vector<std::string> class_names(const TargetSettings& target) {
  if (!target.classes.empty()) return target.classes;
  std::vector<std::string> out;
  for (int64_t i = 0; i < target.class_count; ++i) out.push_back(std::to_string(i));
  return out;
}

// A shape of written numbers; empty where it is none.
Shape written_shape(const Node& n) {
  Shape out;
  if (n.is(Node::Kind::integer)) return {n.integer()};
  if (!n.is(Node::Kind::list)) return {};
  for (const Node& item : n.items) {
    if (!item.is(Node::Kind::integer) || item.integer() < 1) return {};
    out.push_back(item.integer());
  }
  return out;
}

class Declaration {
public:
  Declaration(const Node& spec, const DataSettings& s) : spec_(spec), s_(s) {}

  std::variant<Schema, std::vector<std::string>> read() {
    if (std::optional<Schema> known = known_schema(s_.dataset.text); known && s_.transforms.empty()) return *known;
    schema_.dataset = "as declared";
    if (s_.reader == "text") text();
    else rows();
    if (!missing_.empty()) return missing_;
    return std::move(schema_);
  }

private:
  void text() {
    const SourceSettings* source = s_.train ? &*s_.train : nullptr;
    if (!source || source->window.value == 0) return missing_.push_back("data.train.window");
    bool bytes = source->tokens.text == "byte";
    std::vector<std::string> classes = class_names(s_.csv.target);
    if (!bytes && classes.empty()) return missing_.push_back("data.classes (the characters of the text, or their number)");
    schema_.byte_tokens = bytes;
    schema_.vocabulary = bytes ? Vocabulary::bytes().entries() : classes;
    ColumnSchema x{.name = "x", .type = {DType::i32, {source->window.value}}, .meaning = Meaning::free};
    ColumnSchema y{.name = "y", .type = x.type, .target = true, .meaning = Meaning::index, .classes = schema_.vocabulary};
    schema_.columns = {x, y};
  }

  void rows() {
    const Node* model = spec_.find("model");
    const Node* inputs = model && model->is(Node::Kind::map) ? model->find("inputs") : nullptr;
    if (inputs && inputs->is(Node::Kind::map)) {
      for (const auto& [name, shape] : inputs->entries) input(name.text, written_shape(shape));
    } else if (s_.reader == "csv" && !s_.csv.inputs.empty() && s_.transforms.empty()) {
      for (const auto& [name, columns] : s_.csv.inputs) input(name.text, {std::ssize(columns)});
    } else if (s_.reader == "csv" && !s_.csv.columns.empty() && s_.transforms.empty()) {
      auto features = static_cast<int64_t>(s_.csv.columns.size());
      for (const Placed& c : s_.csv.columns) features -= c.text == s_.csv.target.column.text;
      if (!s_.csv.header &&
          std::none_of(s_.csv.columns.begin(), s_.csv.columns.end(), [&](const Placed& c) { return c.text == s_.csv.target.column.text; }))
        features -= !s_.csv.target.column.text.empty();
      input("x", {features});
    }
    if (schema_.columns.empty()) missing_.push_back("model: {inputs: {x: SHAPE}, layers: [...]}");
    targets();
  }

  void input(const std::string& name, const Shape& shape) {
    if (shape.empty()) return;
    bool bytes = s_.reader == "idx" || s_.reader == "image_folder" || !s_.dataset.text.empty();
    ColumnSchema x{.name = name,
                   .type = {bytes                 ? DType::u8
                            : of_categories(name) ? DType::i32
                                                  : DType::f32,
                            shape},
                   .meaning = s_.reader == "csv" ? Meaning::number : Meaning::free,
                   .range = bytes ? 255.0 : 1.0};
    if (of_categories(name)) x.categories.push_back({name, {}});   // labels that the data would tell
    schema_.columns.push_back(std::move(x));
  }

  bool category(const std::string& column) const {
    return std::any_of(s_.csv.types.begin(), s_.csv.types.end(),
                       [&](const auto& type) { return type.second && type.first.text == column; });
  }

  // An input of indices: all of its columns are categories that no transform encodes.
  bool of_categories(const std::string& name) const {
    if (!s_.transforms.empty()) return false;
    for (const auto& [input, columns] : s_.csv.inputs)
      if (input.text == name) return std::all_of(columns.begin(), columns.end(), [&](const Placed& c) { return category(c.text); });
    return false;
  }

  void targets() {
    for (const TargetSettings& t : s_.csv.targets) target(t);
    if (s_.csv.targets.empty()) target(s_.csv.target);
  }

  // A table's target is a number unless classes are declared; files of labels say nothing of their own.
  void target(const TargetSettings& t) {
    ColumnSchema y{.name = t.name, .type = {DType::i32, {}}, .target = true, .meaning = Meaning::index, .classes = class_names(t)};
    if (s_.reader == "csv") {
      if (t.column.text.empty()) return;
      if (!t.class_target && !category(t.column.text))
        y = {.name = t.name, .type = {DType::f32, {1}}, .target = true, .meaning = Meaning::number};
      else if (y.classes.empty()) return missing_.push_back("data.classes");
    } else if (y.classes.empty()) {
      std::string tensor = t.column.text.empty() ? "y" : t.column.text;
      if (s_.train &&
          std::none_of(s_.train->tensors.begin(), s_.train->tensors.end(), [&](const auto& e) { return e.first.text == tensor; }))
        return;
      return missing_.push_back("data.classes");
    }
    schema_.columns.push_back(std::move(y));
  }

  const Node& spec_;
  const DataSettings& s_;
  Schema schema_;
  std::vector<std::string> missing_;
};

}  // namespace

std::variant<Schema, std::vector<std::string>> declared_schema(const Node& spec, const DataSettings& settings) {
  return Declaration(spec, settings).read();
}

}  // namespace mlc
