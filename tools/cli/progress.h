// The line of progress: what it shows, its layout, and the line that says what takes long.
#pragma once
#include "runtime/train/session.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace mlc {

/// Gathers what calls report. Rates are smoothed; the loss is the mean over the steps since it was last shown.
class Progress {
public:
  void add(const CallReport& report);
  /// "epoch 3/15  [######....]   62%    412 it/s  52.7k rows/s  loss 0.2413  ETA 0:41" of constant column widths, below `width`
  /// columns: what does not fit is left out, rates first, then the bar, then the time left. Empty where nothing fits.
  std::string bar(int width);
  /// The same for a file: no bar, and everything.
  std::string line();
  /// Share of the training that is done, 0..1; 0 where its length is not known.
  double share() const;

private:
  std::string place() const;
  std::string loss();

  CallReport last_;
  double steps_per_second_ = 0, rows_per_second_ = 0, loss_sum_ = 0;
  int64_t loss_steps_ = 0;
};

/// Says on standard error what is being done, once it has taken a second: on a terminal a line with the time that it takes,
/// which goes when this ends; else one line. Nobody else may write there between begin() and end().
class Waiting {
public:
  explicit Waiting(bool terminal) : terminal_(terminal) {}
  ~Waiting();
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  /// What was being done before ends.
  void begin(const std::string& what);
  void end();

private:
  using Clock = std::chrono::steady_clock;
  void watch();

  const bool terminal_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;
  Clock::time_point due_ = Clock::time_point::max();   // of the next line
  int seconds_ = 0;                                    // that the line has told
  bool idle_ = false, done_ = false;
  std::thread thread_;                                 // begins with the first begin()
};

/// "412", "52.7k", "0.314": three digits.
std::string number3(double value);
/// "0:41", "1:02:03".
std::string clock_text(double seconds);

}  // namespace mlc
