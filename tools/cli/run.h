// Trains a spec into a run folder: what `run` and `sweep` share.
#pragma once
#include "tools/cli/printer.h"
#include "tools/cli/training.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mlc {

/// What a run shows. `part`: of a series, which speaks for it: nothing is printed, its events go to its own folder only.
struct Look {
  bool quiet = false, json = false, part = false;
};

/// Losses and metrics of the parts of the data, as a table.
class Results {
public:
  void add(const std::string& part, double loss, const MetricValues& values);
  std::string text() const;

private:
  void values_seen(const std::string& name);

  std::vector<std::string> columns_;
  std::vector<std::pair<std::string, std::map<std::string, double>>> rows_;
};

/// One training with its run folder: header, epochs, checkpoints, test, summary.
class Run : public Training {
public:
  using Training::Training;
  /// After read() and make_ready(). `summary` gets the last event. Returns the exit status.
  int train(RunFolder& folder, const Look& look, nlohmann::ordered_json* summary);
  /// The effective spec with absolute paths, as a run folder keeps it.
  std::string kept_spec(bool with_sweep = false);

private:
  std::string fallback_text() const;
  void save(const std::string& path, const TrainCounters& counters);
  void print_header(Printer& printer, const RunFolder& folder);
  int finish(Printer& printer, RunFolder& folder, const TrainResult& result, double before, nlohmann::ordered_json* summary);
  /// What `generate` of eval.report asks for.
  std::string sample_text();
  /// Why the training ended, and its best epoch.
  std::string ending_text(const TrainResult& result, const RunFolder& folder) const;
  /// Adds to the summary and the table; returns the reports of classes.
  std::string evaluate_test(nlohmann::ordered_json& json, Results& results);

  std::string layer_times_;             // the table of -v

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// The folder that `--out` names, else a new one of the spec's name.
RunFolder make_run_folder(const Arguments& arguments, const Node& spec);
/// From now on the first interrupt ends the training at hand after its step, and true is returned by interrupted().
void catch_interrupts();
bool interrupted();

/// Trains a spec with these values put into it, once, or once for each fold of data.split.k_fold (run folders fold1,
/// fold2, ... within `folder`); `summary` then holds the means. `first` has been read.
int train_spec(Run& first, const Arguments& arguments, const std::vector<Assignment>& values, RunFolder& folder, const Look& look,
               Reuse& reuse, nlohmann::ordered_json* summary);

}  // namespace mlc
