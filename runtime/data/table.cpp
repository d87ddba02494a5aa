#include "runtime/data/table.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "runtime/data/text_fault.h"
#include "runtime/data/text_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>

namespace mlc {
namespace {

std::optional<double> number(std::string_view text) {
  std::string t(trim(text));
  if (t.empty()) return std::nullopt;
  char* end = nullptr;
  double v = std::strtod(t.c_str(), &end);
  // A NUL within the text would end it; infinities and "nan" are no data.
  bool whole = end == t.c_str() + t.size() && t.find_first_of("xXpP") == std::string::npos;
  if (!whole || !std::isfinite(static_cast<float>(v))) return std::nullopt;
  return v;
}

// Fields of any length and content, for messages: one line, no control characters.
std::string shown(const std::string& field) {
  constexpr size_t kMost = 40;
  std::string out = utf8_valid(field) ? utf8_slice(field, 0, kMost) : field.substr(0, kMost);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || (!utf8_valid(field) && static_cast<unsigned char>(c) >= 0x80)) c = '?';
  return "'" + out + (out.size() < field.size() ? "...'" : "'");
}

std::string not_a_number(const std::string& field) {
  std::string t(trim(field));
  char* end = nullptr;
  double v = std::strtod(t.c_str(), &end);
  if (end == t.c_str() + t.size() && std::isnan(v))
    return shown(field) + " is not a number; where it means that a value is missing, data.missing.tokens names it";
  if (end == t.c_str() + t.size() && std::isinf(static_cast<float>(v))) return shown(field) + " is beyond the greatest number, 3.4e38";
  return shown(field) + " is not a number; a category is declared in data.types";
}

// Numbers before texts by value; texts by bytes.
std::vector<std::string> sorted_labels(const std::set<std::string>& found) {
  std::vector<std::string> out(found.begin(), found.end());
  if (std::all_of(out.begin(), out.end(), [](const std::string& s) { return number(s).has_value(); }))
    std::stable_sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) { return *number(a) < *number(b); });
  return out;
}

class Reader {
public:
  Reader(const CsvSettings& csv, const SplitSettings& split, const std::vector<LoadTransform>& transforms, Loc loc)
      : csv_(csv), split_(split), transforms_(transforms), loc_(loc) {}

  Table read(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) add(path);
    table_.rows = static_cast<int64_t>(cells_.size());
    if (table_.rows == 0) throw RuntimeError(paths[0] + ": the table has no rows");
    drop_missing();
    make_features();
    for (size_t t = 0; t < targets_.size(); ++t) make_target(*settings_of_[t], targets_[t]);
    for (const Table::Target& target : table_.targets) find_leaks(target);
    if (!split_.group.text.empty()) table_.keys.groups = codes(split_.group);
    if (!split_.stratify_by.text.empty()) table_.keys.strata = codes(split_.stratify_by);
    return std::move(table_);
  }

private:
  struct Cells {
    std::vector<std::string> fields;
    const std::string* path;
    int64_t line;
    size_t part;
  };

  void add(const std::string& path) {
    std::vector<CsvRecord> records = read_csv(path, csv_.delimiter, csv_.skip_rows);
    if (records.empty()) throw RuntimeError(path + ": the table is empty");
    std::vector<std::string> names;
    size_t first = 0;
    if (csv_.header) {
      for (const std::string& f : records[0].fields) names.emplace_back(trim(f));
      first = 1;
    } else if (!csv_.columns.empty()) {
      for (const Placed& c : csv_.columns) names.push_back(c.text);
    } else {
      for (size_t i = 0; i < records[0].fields.size(); ++i) names.push_back("c" + std::to_string(i));
    }
    std::set<std::string> unique;
    for (const std::string& name : names)
      if (!unique.insert(name).second) throw TextFault(path, records[0].line, "two columns have the name " + shown(name));
    if (names_.empty()) {
      names_ = names;
      choose();
    } else if (names != names_) {
      throw TextFault(path, records[0].line, "the columns differ from those of the first file");
    }
    paths_.push_back(path);
    size_t before = cells_.size();
    for (size_t i = first; i < records.size(); ++i) {
      if (records[i].fields.size() != names_.size())
        throw TextFault(path, records[i].line,
                        std::to_string(records[i].fields.size()) + " fields where " + std::to_string(names_.size()) + " are expected");
      cells_.push_back({std::move(records[i].fields), nullptr, records[i].line, paths_.size() - 1});
    }
    table_.part_rows.push_back(static_cast<int64_t>(cells_.size() - before));
  }

  int column(const Placed& name) const {
    auto it = std::find(names_.begin(), names_.end(), name.text);
    if (it != names_.end()) return static_cast<int>(it - names_.begin());
    // One column whose name holds separators: they are others than data.delimiter says.
    for (const auto& [separator, word] : {std::pair{';', "';'"}, {'\t', "tab"}, {'|', "'|'"}, {',', "','"}})
      if (names_.size() == 1 && names_[0].find(separator) != std::string::npos)
        throw SpecError(name.loc, "the table has one column only, " + shown(names_[0]) + "; is data.delimiter " + word + "?");
    throw SpecError(misnamed(name.loc, "the table has no column '" + name.text + "'", nearest(name.text, names_),
                             names_.size() <= 12 ? "; columns are " + join(names_, ", ") : ""));
  }

  // Which columns are features, which is the target, which are categories.
  void choose() {
    category_.assign(names_.size(), false);
    for (const auto& [name, category] : csv_.types) category_[static_cast<size_t>(column(name))] = category;
    for (const TargetSettings& target : csv_.targets) choose_target(target);
    if (csv_.targets.empty() && !csv_.target.column.text.empty()) choose_target(csv_.target);
    if (!csv_.inputs.empty()) {
      choose_inputs();
      return;
    }
    if (csv_.header && !csv_.columns.empty()) {
      for (const Placed& c : csv_.columns) features_.push_back(column(c));
    } else {
      for (size_t i = 0; i < names_.size(); ++i) features_.push_back(static_cast<int>(i));
    }
    for (int target : targets_) std::erase(features_, target);
    if (!split_.group.text.empty() && !(csv_.header && !csv_.columns.empty())) std::erase(features_, column(split_.group));
    if (features_.empty()) throw SpecError(loc_, "the table has no feature columns");
  }

  void choose_target(const TargetSettings& target) {
    const Placed& wanted = target.column;
    std::optional<int64_t> index = parse_integer(wanted.text);
    bool named = std::count(names_.begin(), names_.end(), wanted.text);
    auto n = static_cast<int64_t>(names_.size());
    if (!named && index && (*index < -n || *index >= n))
      throw SpecError(wanted.loc, "the table has " + std::to_string(n) + " columns; there is no column " + wanted.text);
    int at = !named && index ? static_cast<int>(*index < 0 ? *index + n : *index) : column(wanted);
    if (std::count(targets_.begin(), targets_.end(), at))
      throw SpecError(wanted.loc, "the column '" + names_[static_cast<size_t>(at)] + "' is a target already");
    targets_.push_back(at);
    settings_of_.push_back(&target);
  }

  void choose_inputs() {
    for (const auto& [name, columns] : csv_.inputs)
      for (const Placed& c : columns) {
        int at = column(c);
        if (std::count(targets_.begin(), targets_.end(), at)) throw SpecError(c.loc, "the column '" + c.text + "' is a target");
        if (std::count(features_.begin(), features_.end(), at)) throw SpecError(c.loc, "the column '" + c.text + "' is in two inputs");
        features_.push_back(at);
      }
  }

  bool missing(const std::string& field) const {
    std::string t(trim(field));
    return t.empty() || std::count(csv_.missing.begin(), csv_.missing.end(), t);
  }
  [[noreturn]] void fail(const Cells& row, int col, const std::string& what) const {
    auto at = static_cast<size_t>(col);
    throw TextFault(paths_[row.part], row.line, "column '" + names_[at] + "': " + what, std::string(trim(row.fields[at])));
  }

  void drop_missing() {
    if (csv_.fill != "drop") return;
    std::vector<Cells> kept;
    for (Cells& row : cells_) {
      bool any = std::any_of(targets_.begin(), targets_.end(), [&](int t) { return missing(row.fields[static_cast<size_t>(t)]); });
      for (int f : features_) any |= missing(row.fields[static_cast<size_t>(f)]);
      if (any) --table_.part_rows[row.part];
      else kept.push_back(std::move(row));
    }
    cells_ = std::move(kept);
    table_.rows = static_cast<int64_t>(cells_.size());
    if (cells_.empty()) throw SpecError(csv_.missing_loc, "every row has a missing value: none is left");
  }

  // The labels of a one-hot column: known from training, or those found.
  std::vector<std::string> category_labels(int column) const {
    auto known = csv_.labels.find(names_[static_cast<size_t>(column)]);
    std::set<std::string> found;
    for (const Cells& row : cells_) {
      const std::string& field = row.fields[static_cast<size_t>(column)];
      if (missing(field)) fail(row, column, "a value is missing; categories are not filled");
      std::string label(trim(field));
      if (known != csv_.labels.end() && !std::count(known->second.begin(), known->second.end(), label))
        fail(row, column, shown(label) + " is none of the labels that the training data had: " + join(known->second, ", "));
      found.insert(std::move(label));
    }
    return known != csv_.labels.end() ? known->second : sorted_labels(found);
  }

  void make_features() {
    std::set<int> one_hot;
    for (const LoadTransform& t : transforms_) {
      if (t.kind != LoadTransform::Kind::one_hot) throw SpecError(t.loc, "resize needs images; this is a table");
      for (const Placed& c : t.columns) {
        int col = column(c);
        if (!std::count(features_.begin(), features_.end(), col)) throw SpecError(c.loc, "'" + c.text + "' is no feature column");
        one_hot.insert(col);
      }
    }
    std::map<int, std::vector<std::string>> labels;
    for (int f : features_) {
      const std::string& name = names_[static_cast<size_t>(f)];
      bool hot = one_hot.count(f), coded = category_[static_cast<size_t>(f)] && !hot;
      if (hot || coded) {
        labels[f] = category_labels(f);
        table_.categories.push_back({name, labels[f]});
      }
      if (!hot) table_.features.push_back(name);
      for (size_t l = 0; hot && l < labels[f].size(); ++l) table_.features.push_back(name + "=" + labels[f][l]);
      table_.coded.resize(table_.features.size(), coded);
    }
    table_.x.reserve(cells_.size() * table_.features.size());
    for (const Cells& row : cells_)
      for (int f : features_) {
        const std::string& field = row.fields[static_cast<size_t>(f)];
        if (auto it = labels.find(f); it != labels.end()) {
          if (!one_hot.count(f)) {
            auto index = std::find(it->second.begin(), it->second.end(), trim(field)) - it->second.begin();
            table_.x.push_back(static_cast<float>(index));
            continue;
          }
          for (const std::string& l : it->second) table_.x.push_back(l == trim(field) ? 1.0f : 0.0f);
          continue;
        }
        if (missing(field)) {
          if (csv_.fill.empty()) fail(row, f, "a value is missing; data.missing says what to do with such rows");
          table_.x.push_back(std::numeric_limits<float>::quiet_NaN());
          continue;
        }
        std::optional<double> v = number(field);
        if (!v) fail(row, f, not_a_number(field));
        table_.x.push_back(static_cast<float>(*v));
      }
  }

  void make_target(const TargetSettings& settings, int column) {
    Table::Target target{.name = settings.name, .column = names_[static_cast<size_t>(column)]};
    std::set<std::string> found;
    bool numbers = true;
    for (const Cells& row : cells_) {
      const std::string& field = row.fields[static_cast<size_t>(column)];
      if (missing(field)) fail(row, column, "the target is missing");
      found.insert(std::string(trim(field)));
      numbers &= number(field).has_value();
    }
    target.class_target = settings.class_target || category_[static_cast<size_t>(column)];
    if (!target.class_target) {
      if (!settings.positive.text.empty()) put_second(settings.positive, target);
      if (!numbers) {
        std::vector<std::string> some = sorted_labels(found);
        if (some.size() > 8) some.resize(8), some.push_back("...");
        throw SpecError(settings.column.loc, "the target '" + names_[static_cast<size_t>(column)] +
                                                 "' is text: give 'classes' (found: " + join(some, ", ") + ")");
      }
      for (const Cells& row : cells_) target.values.push_back(static_cast<float>(*number(row.fields[static_cast<size_t>(column)])));
      table_.targets.push_back(std::move(target));
      return;
    }
    target.classes = settings.classes;
    if (target.classes.empty() && settings.class_count > 0)
      for (int64_t i = 0; i < settings.class_count; ++i) target.classes.push_back(std::to_string(i));
    if (target.classes.empty()) target.classes = sorted_labels(found);
    // Labels 0..K-1 beside given names are indices.
    bool indices = numbers && std::none_of(found.begin(), found.end(), [&](const std::string& f) {
                     return std::count(target.classes.begin(), target.classes.end(), f);
                   });
    for (const Cells& row : cells_) {
      std::string label(trim(row.fields[static_cast<size_t>(column)]));
      auto it = std::find(target.classes.begin(), target.classes.end(), label);
      std::optional<double> value = number(label);
      bool index = it == target.classes.end() && indices && *value >= 0 && *value < static_cast<double>(target.classes.size()) &&
                   *value == std::floor(*value);
      if (it == target.classes.end() && !index) fail(row, column, shown(label) + " is none of the classes " + join(target.classes, ", "));
      target.labels.push_back(index ? static_cast<int32_t>(*value) : static_cast<int32_t>(it - target.classes.begin()));
    }
    if (!settings.positive.text.empty()) put_second(settings.positive, target);
    table_.targets.push_back(std::move(target));
  }

  // The positive class has index 1.
  static void put_second(const Placed& label, Table::Target& target) {
    std::vector<std::string>& classes = target.classes;
    bool there = classes.size() == 2 && std::count(classes.begin(), classes.end(), label.text);
    if (!there)
      throw SpecError(label.loc, "'positive' is one of two classes; the target has " + (classes.empty() ? "none" : join(classes, ", ")));
    if (classes[1] == label.text) return;
    std::swap(classes[0], classes[1]);
    for (int32_t& l : target.labels) l = 1 - l;
  }

  // A number for each different text of a column.
  std::vector<int32_t> codes(const Placed& name) {
    int col = column(name);
    std::map<std::string, int32_t> known;
    std::vector<int32_t> out;
    for (const Cells& row : cells_) {
      const std::string& field = row.fields[static_cast<size_t>(col)];
      if (missing(field)) fail(row, col, "a value is missing, and the split goes by this column");
      out.push_back(known.try_emplace(std::string(trim(field)), static_cast<int32_t>(known.size())).first->second);
    }
    return out;
  }

  // A number target is leaked by a feature equal to it, a class target by one that has as many values as there are classes, each
  // with one class only.
  void find_leaks(const Table::Target& target) {
    size_t n = table_.features.size();
    auto rows = static_cast<size_t>(table_.rows);
    for (size_t f = 0; f < n; ++f) {
      std::map<float, int32_t> class_of;
      std::set<int32_t> seen;
      bool leaks = rows > 1;
      for (size_t r = 0; leaks && r < rows; ++r) {
        float x = table_.x[r * n + f];
        leaks = !std::isnan(x);
        if (!leaks) continue;
        if (!target.class_target) {
          leaks = x == target.values[r];
          continue;
        }
        auto [it, fresh] = class_of.insert({x, target.labels[r]});
        leaks = it->second == target.labels[r] && class_of.size() <= target.classes.size() && (!fresh || seen.insert(it->second).second);
      }
      if (leaks && (!target.class_target || class_of.size() > 1)) table_.leaks.push_back(table_.features[f]);
    }
  }

  const CsvSettings& csv_;
  const SplitSettings& split_;
  const std::vector<LoadTransform>& transforms_;
  Loc loc_;
  Table table_;
  std::vector<std::string> names_, paths_;
  std::vector<bool> category_;
  std::vector<int> features_;
  std::vector<int> targets_;
  std::vector<const TargetSettings*> settings_of_;   // of the targets
  std::vector<Cells> cells_;
};

}  // namespace

Table read_table(const std::vector<std::string>& paths, const CsvSettings& csv, const SplitSettings& split,
                 const std::vector<LoadTransform>& transforms, Loc loc) {
  return Reader(csv, split, transforms, loc).read(paths);
}

std::vector<size_t> Table::features_of(const std::vector<Placed>& columns) const {
  std::vector<size_t> out;
  for (const Placed& c : columns) {
    auto itself = std::find(features.begin(), features.end(), c.text);
    if (itself != features.end()) out.push_back(static_cast<size_t>(itself - features.begin()));
    for (size_t f = 0; itself == features.end() && f < features.size(); ++f)
      if (features[f].starts_with(c.text + "=")) out.push_back(f);
  }
  return out;
}

void fill_missing(Table& table, const CsvSettings& csv, const std::vector<int32_t>& train_rows) {
  size_t n = table.features.size();
  if (csv.fill.empty() || csv.fill == "drop") return;
  std::optional<double> constant = parse_real(csv.fill);
  for (size_t f = 0; f < n; ++f) {
    std::vector<double> known;
    bool any = false;
    for (int64_t r = 0; r < table.rows; ++r) any |= std::isnan(table.x[static_cast<size_t>(r) * n + f]);
    for (int32_t r : train_rows)
      if (float v = table.x[static_cast<size_t>(r) * n + f]; !std::isnan(v)) known.push_back(v);
    double fill = 0;
    if (!csv.fills.empty()) {
      fill = csv.fills.at(f);
    } else if (constant) {
      fill = *constant;
    } else if (!known.empty()) {
      std::sort(known.begin(), known.end());
      size_t half = known.size() / 2;
      for (double v : known) fill += v / static_cast<double>(known.size());
      if (csv.fill == "median") fill = known.size() % 2 ? known[half] : (known[half - 1] + known[half]) / 2;
    } else if (any) {
      throw SpecError(csv.missing_loc, "column '" + table.features[f] + "' has no value in the training rows to fill with");
    }
    table.fills.push_back(fill);
    for (int64_t r = 0; any && r < table.rows; ++r)
      if (float& v = table.x[static_cast<size_t>(r) * n + f]; std::isnan(v)) v = static_cast<float>(fill);
  }
}

}  // namespace mlc
