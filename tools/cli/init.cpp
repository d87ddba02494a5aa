// mlc init: a first spec from a table.
#include "compiler/base/text.h"
#include "runtime/data/split.h"
#include "runtime/data/text_fault.h"
#include "runtime/data/text_file.h"
#include "runtime/store/atomic_file.h"
#include "tools/cli/cli.h"

#include <boost/program_options/value_semantic.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

namespace mlc {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

constexpr size_t kMostCategories = 20;       // labels of a column that is worth one-hot columns, or of a class target

struct Column {
  std::string name;
  std::vector<std::string> values;
  std::map<std::string, size_t> counts;      // of the values that are there
  std::set<std::string> missing_tokens;      // as found; "" for empty cells
  size_t missing = 0;
  bool numeric = true, whole = true, growing = true;
  double mean = 0, spread = 0;
};

bool means_missing(const std::string& value) {
  static const std::set<std::string> kTokens = {"", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?", "-"};
  return kTokens.count(value) != 0;
}

void measure(Column& c) {
  double last = -INFINITY, sum = 0, squares = 0;
  size_t n = 0;
  for (const std::string& v : c.values) {
    if (means_missing(v)) {
      ++c.missing;
      c.missing_tokens.insert(v);
      continue;
    }
    ++c.counts[v];
    std::optional<double> number = parse_real(v);
    c.numeric &= number.has_value() && std::isfinite(*number);
    if (!c.numeric) continue;
    c.whole &= *number == std::floor(*number);
    c.growing &= *number > last;
    last = *number;
    sum += *number, squares += *number * *number, ++n;
  }
  c.numeric &= n > 0;
  if (!c.numeric) return;
  c.mean = sum / static_cast<double>(n);
  c.spread = std::sqrt(std::max(0.0, squares / static_cast<double>(n) - c.mean * c.mean));
}

// The character that splits the first lines into the most, and equally many, fields.
char guess_delimiter(const std::string& path) {
  char best = ',';
  size_t most = 1;
  for (char d : {',', ';', '\t', '|'}) {
    try {
      std::vector<CsvRecord> records = read_csv(path, d, 0);
      if (records.empty()) continue;
      size_t fields = records[0].fields.size();
      size_t look = std::min<size_t>(records.size(), 20);
      bool even = std::all_of(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(look),
                              [&](const CsvRecord& r) { return r.fields.size() == fields; });
      if (even && fields > most) most = fields, best = d;
    } catch (const RuntimeError&) {
      // A quote that is none under this delimiter.
    }
  }
  return best;
}

// Text within a comment: on one line.
std::string remark(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text;
}

// Text as a YAML scalar that may stand in a flow list.
std::string scalar(const std::string& text) {
  static const std::set<std::string> kWords = {"null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"};
  bool number = parse_real(text).has_value() || parse_integer(text).has_value();
  bool plain = !text.empty() && !kWords.count(text) &&
               std::all_of(text.begin(), text.end(),
                           [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.' || c == ' ' || c == '/' || c >= 0x80; }) &&
               text.front() != ' ' && text.back() != ' ';
  if (plain || number) return text;
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (c == '\r') out += "\\r";
    else out += c;
  }
  return out + "\"";
}

std::string flow(const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const std::string& t : texts) parts.push_back(scalar(t));
  return "[" + join(parts, ", ") + "]";
}

// Numbers by value, texts by bytes: the order of a class target.
std::vector<std::string> labels(const Column& c) {
  std::vector<std::string> out;
  for (const auto& [label, count] : c.counts) out.push_back(label);
  if (c.numeric)
    std::stable_sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) { return *parse_real(a) < *parse_real(b); });
  return out;
}

std::string plural(size_t n, const char* what) { return format_count(static_cast<long long>(n)) + " " + what + (n == 1 ? "" : "s"); }

class Writer {
public:
  Writer(std::string path, const std::string& target) : path_(std::move(path)) {
    delimiter_ = guess_delimiter(path_);
    read();
    choose_target(target);
    choose_features();
    choose_split();
  }

  std::string spec(const std::string& data_path) const {
    std::string out = fmt::format("# Made by `mlc init {}`: {}, {}. A start to edit; `mlc doc` explains every key.\n",
                                  fs::path(path_).filename().string(), plural(rows_, "row"), plural(columns_.size(), "column"));
    out += "name: " + scalar(fs::path(path_).stem().string()) + "\nseed: 42\n";
    return out + data(data_path) + model() + train() + eval();
  }

  std::string verdict() const {
    const Column& t = columns_[target_];
    return classes_ ? fmt::format("{} classes of '{}'", t.counts.size(), t.name) : fmt::format("the number '{}'", t.name);
  }

private:
  void read() {
    std::vector<CsvRecord> records = read_csv(path_, delimiter_, 0);
    if (records.size() < 2) throw RuntimeError(path_ + ": the table has no rows");
    // A first line without numbers names the columns where the lines below hold some, or its texts are all different.
    auto numbers = [](const CsvRecord& r) {
      return std::count_if(r.fields.begin(), r.fields.end(), [](const std::string& f) { return parse_real(trim(f)).has_value(); });
    };
    std::map<std::string_view, size_t> names;
    std::string_view twice;
    for (const std::string& name : records[0].fields)
      if (++names[trim(name)] == 2) twice = trim(name);
    bool below = std::any_of(records.begin() + 1, records.end(), [&](const CsvRecord& r) { return numbers(r) > 0; });
    header_ = numbers(records[0]) == 0 && (below || (names.size() == records[0].fields.size() && !names.count("")));
    if (header_ && names.size() != records[0].fields.size())
      throw RuntimeError(path_ +
                         ":1: " + (twice.empty() ? "two columns have no name" : "column '" + std::string(twice) + "' stands twice"));
    for (size_t i = 0; i < records[0].fields.size(); ++i)
      columns_.push_back({.name = header_ ? std::string(trim(records[0].fields[i])) : "c" + std::to_string(i)});
    for (size_t r = header_ ? 1 : 0; r < records.size(); ++r) {
      if (records[r].fields.size() != columns_.size())
        throw TextFault(path_, records[r].line,
                        std::to_string(records[r].fields.size()) + " fields where " + std::to_string(columns_.size()) + " are expected");
      for (size_t i = 0; i < columns_.size(); ++i) columns_[i].values.emplace_back(trim(records[r].fields[i]));
      ++rows_;
    }
    if (columns_.size() < 2) throw RuntimeError(path_ + ": one column only; a table needs features and a target");
    for (Column& c : columns_) measure(c);
  }

  // Whether the rows that are trained on can be cut so: false where one of the parts would have no row.
  bool splits(SplitSettings fractions) const {
    std::map<std::string, int32_t> labels;
    std::vector<int32_t> rows;
    SplitKeys keys;
    for (size_t r = 0; r < rows_; ++r) {
      const std::string& value = columns_[target_].values[r];
      bool whole = !means_missing(value);
      for (size_t i = 0; i < columns_.size(); ++i)
        whole &=
            std::find(features_.begin(), features_.end(), columns_[i].name) == features_.end() || !means_missing(columns_[i].values[r]);
      if (whole || !drop_) rows.push_back(static_cast<int32_t>(r));
      if (classes_) keys.strata.push_back(labels.try_emplace(value, static_cast<int32_t>(labels.size())).first->second);
    }
    fractions.sequential = true;   // how many, not which
    try {
      split_rows(rows, keys, fractions, 0);
    } catch (const SpecError&) {
      return false;
    }
    return true;
  }

  // What is held back: enough rows for each part, else the next simpler way.
  void choose_split() {
    if (rows_ >= 200 && splits({.train = 0.7, .val = 0.15, .test = 0.15})) split_ = Split::three;
    else if (splits({.train = 0.8, .test = 0.2})) split_ = Split::two;
  }

  // Text of which nearly every row has its own: names, dates, addresses.
  bool names_rows(const Column& c) const {
    size_t distinct = c.counts.size();
    return !c.numeric && distinct > kMostCategories && (distinct > 1000 || distinct * 2 > rows_);
  }

  // The one that is asked for, else the last that does not name rows.
  void choose_target(const std::string& target) {
    auto good = std::find_if(columns_.rbegin(), columns_.rend(), [&](const Column& c) { return !c.name.empty() && !names_rows(c); });
    target_ = good == columns_.rend() ? columns_.size() - 1 : static_cast<size_t>(columns_.rend() - good - 1);
    if (!target.empty()) {
      std::vector<std::string> names;
      for (const Column& c : columns_) names.push_back(c.name);
      auto it = std::find(names.begin(), names.end(), target);
      if (it == names.end()) throw RuntimeError(unknown_name({}, "column", target, names).text);
      target_ = static_cast<size_t>(it - names.begin());
    }
    const Column& t = columns_[target_];
    if (t.counts.size() < 2) throw RuntimeError(path_ + ": the target '" + t.name + "' has one value only");
    if (names_rows(t))
      throw RuntimeError(path_ + ": the target '" + t.name + "' is text with " + std::to_string(t.counts.size()) + " values in " +
                         plural(rows_, "row") + "; choose another with --target");
    // Few whole numbers that come again and again are classes.
    classes_ = !t.numeric || (t.whole && t.counts.size() <= kMostCategories && t.counts.size() * 5 <= rows_);
    if (t.missing) drop_ = true;
  }

  void choose_features() {
    for (size_t i = 0; i < columns_.size(); ++i) {
      const Column& c = columns_[i];
      if (i == target_) continue;
      std::string left;
      if (c.name.empty()) left = "a column without a name";
      else if (c.counts.empty()) left = "empty";
      else if (c.counts.size() == 1) left = "one value only";
      else if (c.numeric && c.whole && c.growing && c.missing == 0 && c.counts.size() == rows_ && rows_ > 20) left = "numbers the rows";
      else if (!c.numeric && c.counts.size() > kMostCategories) left = fmt::format("text with {} values", c.counts.size());
      else if (!c.numeric && c.missing * 20 > rows_) left = fmt::format("a category that is missing in {}", plural(c.missing, "row"));
      if (!left.empty()) {
        left_out_.push_back(c.name.empty() ? left : c.name + " (" + left + ")");
        continue;
      }
      features_.push_back(c.name);
      if (!c.numeric) categories_.push_back(c.name);
      if (!c.numeric && c.missing) drop_ = true;
      for (const std::string& token : c.missing_tokens) tokens_.insert(token);
    }
    for (const std::string& token : columns_[target_].missing_tokens) tokens_.insert(token);
    if (features_.empty()) throw RuntimeError(path_ + ": no column is of use as a feature: " + join(left_out_, ", "));
  }

  std::string data(const std::string& data_path) const {
    const Column& t = columns_[target_];
    std::string out = "data:\n  reader: csv\n  path: " + scalar(data_path) + "\n";
    if (delimiter_ != ',')
      out += std::string("  delimiter: ") + (delimiter_ == '\t' ? "tab" : "\"" + std::string(1, delimiter_) + "\"") + "\n";
    if (!header_) out += "  header: false                  # the first line holds values: columns are c0, c1, ...\n";
    if (!left_out_.empty()) {
      out += "  # Left out: " + remark(join(left_out_, ", ")) + ".\n";
      if (header_) out += "  columns: " + flow(features_) + "\n";
    }
    if (!categories_.empty()) {
      std::vector<std::string> types;
      for (const std::string& c : categories_) types.push_back(scalar(c) + ": category");
      out += "  types: {" + join(types, ", ") + "}\n";
    }
    if (!tokens_.empty()) {
      std::vector<std::string> named;
      for (const std::string& token : tokens_)
        if (!token.empty()) named.push_back("\"" + token + "\"");
      out += "  missing: {" + (named.empty() ? "" : "tokens: [" + join(named, ", ") + "], ") + "fill: " + (drop_ ? "drop}" : "median}");
      out += drop_ ? "          # rows without the target or a category cannot be filled\n" : "          # of the training rows\n";
    }
    out += "  target: " + scalar(t.name) + "\n";
    if (classes_) {
      out += "  classes: " + flow(labels(t)) + "\n";
      size_t most = 0, least = rows_;
      for (const auto& [label, count] : t.counts) most = std::max(most, count), least = std::min(least, count);
      if (most > 4 * least)
        out += fmt::format("  # The rarest class has {}, the commonest {}: see `balance: oversample`, or `weight` of the loss.\n",
                           plural(least, "row"), format_count(static_cast<long long>(most)));
    }
    out += split_ == Split::three ? "  split: {train: 0.7, val: 0.15, test: 0.15}\n"
           : split_ == Split::two ? "  split: {train: 0.8, test: 0.2}    # too few rows for a validation set\n"
                                  : "  # All rows are trained on: they are too few to hold some back.\n";
    out += "  transforms:\n";
    if (!categories_.empty()) out += "    - one_hot: {columns: " + flow(categories_) + "}\n";
    return out + "    - standardize                  # mean 0, deviation 1, as measured on the training rows\n";
  }

  std::string model() const {
    int width = rows_ < 500 ? 16 : rows_ < 5000 ? 32 : rows_ < 50000 ? 64 : 128;
    std::string out = "model:\n";
    for (int i = 0; i < 2; ++i) {
      out += fmt::format("  - linear: {}\n  - relu\n", width);
      if (rows_ < 5000) out += "  - dropout: 0.1\n";
    }
    if (classes_) return out + "  - linear: data.classes\n";
    const Column& t = columns_[target_];
    out += "  - {linear: 1, as: raw}\n";
    // The network works on numbers around 0, whatever the target's unit.
    return out + fmt::format("  - expr: {:.4g} + {:.4g} * raw      # mean and deviation of {}\n", t.mean, t.spread > 0 ? t.spread : 1.0,
                             remark(t.name));
  }

  std::string train() const {
    size_t batch = rows_ < 500 ? 16 : rows_ < 20000 ? 32 : 128;
    size_t epochs = std::clamp<size_t>(6000 * batch / std::max<size_t>(1, rows_), 5, 100);
    std::string out =
        fmt::format("train:\n  epochs: {}\n  batch_size: {}\n  loss: {}\n  optimizer: {{type: adamw, lr: 0.001}}\n  schedule: cosine\n",
                    epochs, batch, classes_ ? "cross_entropy" : "mse");
    if (split_ == Split::three) out += "  early_stopping: {monitor: val_loss, patience: 10, restore_best: true}\n";
    return out;
  }

  std::string eval() const {
    return classes_ ? "eval:\n  metrics: [accuracy, f1]\n  report: [confusion_matrix, classification_report]\n"
                    : "eval:\n  metrics: [mae, rmse, r2]\n";
  }

  std::string path_;
  char delimiter_ = ',';
  bool header_ = true, classes_ = false, drop_ = false;
  enum class Split : uint8_t { none, two, three } split_ = Split::none;
  size_t rows_ = 0, target_ = 0;
  std::vector<Column> columns_;
  std::vector<std::string> features_, categories_, left_out_;
  std::set<std::string> tokens_;
};

}  // namespace

int init_command(int argc, char** argv) {
  Arguments a("init", "Writes a first spec for a table: types of columns, missing values, target, split, model, each choice explained.",
              {"TABLE"});
  a.add()("target", po::value<std::string>()->default_value("")->value_name("COLUMN"),
          "the column to predict (default: the last that is not text with a value for each row)");
  a.add()("out", po::value<std::string>()->default_value("")->value_name("FILE"),
          "the spec to write (default: beside the table, its name with .yaml; - prints it)");
  a.example("mlc init houses.csv --target price && mlc run houses.yaml");
  if (!a.parse(argc, argv)) return kDone;
  fs::path table = a.text("TABLE");
  Writer writer(table.string(), a.text("target"));
  if (a.text("out") == "-") return std::cout << writer.spec(table.string()), kDone;
  fs::path out = a.text("out").empty() ? table.parent_path() / (table.stem().string() + ".yaml") : fs::path(a.text("out"));
  std::error_code fault;
  if (fs::exists(out, fault)) throw RuntimeError(out.string() + " exists; name another file with --out");
  fs::path folder = fs::absolute(out).parent_path(),
           relative = fs::absolute(table).lexically_normal().lexically_relative(folder.lexically_normal());
  bool within = !relative.empty() && *relative.begin() != "..";
  write_file(out.string(), writer.spec(within ? relative.string() : fs::absolute(table).lexically_normal().string()));
  std::cout << "wrote " << out.string() << ": predicts " << writer.verdict() << "\nnext: mlc run " << out.string()
            << (within ? "" : " --allow-outside") << "\n";
  return kDone;
}

}  // namespace mlc
