// What a run prints: header, progress line, epoch lines, summary (ux.md); the same as events in metrics.jsonl and --json.
#pragma once
#include "runtime/store/run_folder.h"
#include "runtime/train/session.h"
#include "tools/cli/progress.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace mlc {

class Printer : public TrainObserver {
public:
  struct Settings {
    bool quiet = false, json = false;
    bool terminal = false;             ///< standard error is one, and progress is wanted
    int64_t epochs = 0;                ///< that are expected; 0: not known
    Waiting* waiting = nullptr;        ///< says what takes long; null: nothing does
    bool by_epoch = true;              ///< the lines of epochs tell how far it is; else each 5 % has a line in a file
  };
  Printer(Settings settings, RunFolder& folder, std::function<void(const std::string&, const TrainCounters&)> save)
      : settings_(settings), folder_(folder), save_(std::move(save)) {}

  /// At most 6 lines of (key, text).
  void header(const std::vector<std::pair<std::string, std::string>>& lines, const nlohmann::ordered_json& event);
  void message(const std::string& text);
  /// Says what is being done, should it take long, until the next thing is printed.
  void wait(const std::string& what);
  void on_call(const CallReport& report) override;
  void on_validation(const EpochReport& report) override;
  void on_validating() override { wait("validating"); }
  void on_epoch(const EpochReport& report) override;
  void on_last(const TrainCounters& counters) override { save_("last", counters); }
  void on_ranked(int64_t rank, int64_t kept, const TrainCounters& counters) override { save_(folder_.insert_ranked(rank, kept), counters); }
  /// One line of a series with its event.
  void line(const std::string& text, const nlohmann::ordered_json& event);
  void summary(const std::string& text, const nlohmann::ordered_json& event);

private:
  using Clock = std::chrono::steady_clock;
  void clear_line();
  void event(const nlohmann::ordered_json& json);
  void print_held(bool last);

  Settings settings_;
  RunFolder& folder_;
  std::function<void(const std::string&, const TrainCounters&)> save_;
  Clock::time_point drawn_{}, validated_{}, printed_ = Clock::now();
  bool line_open_ = false;
  Progress progress_;
  int parts_ = 0;                      // twentieths of the training that have had a line
  std::string best_, last_;            // lines of epochs that were left out: the best of them, and the last
};

/// "0.2413": four significant digits.
std::string number4(double value);
std::string duration_text(double seconds);

}  // namespace mlc
