// What a run prints: header, progress line, epoch lines, summary (ux.md); the same as events in metrics.jsonl and --json.
#pragma once
#include "runtime/store/run_folder.h"
#include "runtime/train/session.h"

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
    int64_t epochs = 0;
  };
  Printer(Settings settings, RunFolder& folder, std::function<void(const std::string&, const TrainCounters&)> save)
      : settings_(settings), folder_(folder), save_(std::move(save)) {}

  /// At most 6 lines of (key, text).
  void header(const std::vector<std::pair<std::string, std::string>>& lines, const nlohmann::ordered_json& event);
  void message(const std::string& text);
  void on_call(const CallReport& report) override;
  void on_validation(const EpochReport& report) override;
  void on_epoch(const EpochReport& report) override;
  void on_last(const TrainCounters& counters) override { save_("last", counters); }
  void on_ranked(int64_t rank, int64_t kept, const TrainCounters& counters) override {
    save_(folder_.insert_ranked(rank, kept), counters);
  }
  /// One line of a series with its event.
  void line(const std::string& text, const nlohmann::ordered_json& event);
  void summary(const std::string& text, const nlohmann::ordered_json& event);

private:
  void clear_line();
  void event(const nlohmann::ordered_json& json);

  Settings settings_;
  RunFolder& folder_;
  std::function<void(const std::string&, const TrainCounters&)> save_;
  std::chrono::steady_clock::time_point drawn_{}, validated_{};
  bool line_open_ = false;
  double rate_ = 0;                    // rows per second, smoothed
};

/// "0.2413": four significant digits.
std::string number4(double value);
std::string duration_text(double seconds);

}  // namespace mlc
