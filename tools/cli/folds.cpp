#include "tools/cli/folds.h"

#include "tools/cli/table.h"

#include <fmt/core.h>

#include <unistd.h>

#include <cmath>
#include <iostream>

namespace mlc {
namespace {

double number_of(const nlohmann::ordered_json& value) { return value.is_number() ? value.get<double>() : std::nan(""); }

struct Column {
  std::string key;
  std::vector<double> values;

  double mean() const {
    double sum = 0;
    for (double v : values) sum += v;
    return sum / static_cast<double>(values.size());
  }
  double deviation() const {
    double m = mean(), sum = 0;
    for (double v : values) sum += (v - m) * (v - m);
    return std::sqrt(sum / static_cast<double>(values.size()));
  }
};

std::string table_of(const std::vector<Column>& columns, size_t folds) {
  std::vector<std::vector<std::string>> rows(folds + 3);
  rows[0].push_back("fold");
  for (size_t f = 0; f < folds; ++f) rows[f + 1].push_back(std::to_string(f + 1));
  rows[folds + 1].push_back("mean");
  rows[folds + 2].push_back("std");
  for (const Column& c : columns) {
    rows[0].push_back(c.key);
    for (size_t f = 0; f < folds; ++f) rows[f + 1].push_back(number4(c.values[f]));
    rows[folds + 1].push_back(number4(c.mean()));
    rows[folds + 2].push_back(number4(c.deviation()));
  }
  return format_table(rows);
}

}  // namespace

bool is_measured(const std::string& key, const nlohmann::ordered_json& value) {
  bool named = key == "train_loss" || key.starts_with("val_") || key.starts_with("test_");
  return named && key != "test_rows" && key != "test_seconds" && (value.is_number() || value.is_null());
}

int train_folds(Run& first, const Arguments& arguments, const std::vector<Assignment>& values, RunFolder& folder, const Look& look,
                Reuse& reuse, nlohmann::ordered_json* summary) {
  int64_t count = first.folds();
  folder.clear_for_series();
  folder.write("spec.yaml", first.kept_spec());
  first.leave(reuse);
  Printer printer({look.quiet || look.part, look.json && !look.part, false, 0}, folder, {});
  const Node* split = first.spec().find("data")->find("split");
  Loc loc = split->find("k_fold")->loc;
  std::vector<Column> columns;
  nlohmann::ordered_json last;
  double seconds = 0, compile_ms = 0;
  int64_t steps = 0;
  for (int64_t fold = 1; fold <= count; ++fold) {
    std::vector<Assignment> with = values;
    with.push_back({"data.split.fold", Node::make_integer(fold, loc), loc});
    Run run(arguments, with);
    RunFolder part = RunFolder::at(folder.file("fold" + std::to_string(fold)));
    if (!run.read(&reuse) || !run.make_ready(&reuse)) return kFault;
    int status = run.train(part, {.part = true}, &last);
    run.leave(reuse);
    nlohmann::ordered_json event = {{"event", "fold"}, {"fold", fold}, {"folds", count}};
    std::string line = fmt::format("fold {}/{} ", fold, count);
    size_t column = 0;
    for (const auto& [key, value] : last.items()) {
      if (key == "event") continue;
      event[key] = value;
      if (!is_measured(key, value)) continue;
      if (fold == 1) columns.push_back({key, {}});
      columns[column++].values.push_back(number_of(value));
      line += fmt::format("  {} {}", key, number4(number_of(value)));
    }
    seconds += last["seconds"].get<double>();
    compile_ms += last["compile_ms"].get<double>();
    steps += last["steps"].get<int64_t>();
    printer.line(line + "  " + duration_text(last["seconds"].get<double>()), event);
    if (status != kDone) return *summary = last, status;
  }
  nlohmann::ordered_json json = {{"event", "summary"}, {"parameters", last["parameters"]}, {"folds", count}, {"steps", steps}};
  for (const Column& c : columns) {
    json[c.key] = c.mean();
    if (c.key != "train_loss") json[c.key + "_std"] = c.deviation();
  }
  json["compile_ms"] = compile_ms;
  json["seconds"] = seconds;
  for (const char* key : {"device", "threads", "dataset"}) json[key] = last[key];
  json["run"] = folder.path();
  printer.summary("\n" + table_of(columns, static_cast<size_t>(count)) + "run folders " + folder.path() + "/fold1 to fold" +
                      std::to_string(count) + "\n",
                  json);
  *summary = json;
  return kDone;
}

}  // namespace mlc
