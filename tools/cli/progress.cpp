#include "tools/cli/progress.h"

#include "tools/cli/printer.h"

#include <fmt/core.h>

#include <algorithm>
#include <iostream>

namespace mlc {
namespace {

constexpr int kBar = 10;
constexpr double kOld = 0.8;   // weight of what was before, when a call of 0.1 s arrives

void smooth(double& value, double now) { value = value == 0 ? now : kOld * value + (1 - kOld) * now; }

}  // namespace

std::string number3(double v) {
  const char* unit = "";
  for (const char* u : {"k", "M", "G"})
    if (v >= 999.5) v /= 1000, unit = u;
  return fmt::format("{:.{}f}{}", v, v >= 99.95 ? 0 : v >= 9.995 ? 1 : v >= 0.9995 ? 2 : 3, unit);
}

std::string clock_text(double seconds) {
  auto s = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60) : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

void Progress::add(const CallReport& r) {
  last_ = r;
  if (r.seconds > 0) {  // rates, not durations: one call that the machine held up does not decide
    smooth(steps_per_second_, r.steps / r.seconds);
    smooth(rows_per_second_, static_cast<double>(r.rows) / r.seconds);
  }
  loss_sum_ += r.loss * std::max(1, r.steps);
  loss_steps_ += std::max(1, r.steps);
}

double Progress::share() const { return last_.total_steps ? static_cast<double>(last_.step) / static_cast<double>(last_.total_steps) : 0; }

std::string Progress::place() const {
  if (last_.epochs || !last_.total_steps)
    return fmt::format("epoch {}{}", last_.epoch, last_.epochs ? fmt::format("/{}", last_.epochs) : "");
  std::string total = std::to_string(last_.total_steps);
  return fmt::format("step {:>{}}/{}", last_.step, total.size(), total);
}

std::string Progress::loss() {
  std::string text = fmt::format("  loss {:>7}", number4(loss_sum_ / static_cast<double>(std::max<int64_t>(1, loss_steps_))));
  loss_sum_ = 0, loss_steps_ = 0;
  return text;
}

std::string Progress::bar(int width) {
  double part = last_.epochs || !last_.total_steps
                    ? static_cast<double>(last_.step_in_epoch) / static_cast<double>(std::max<int64_t>(1, last_.steps_per_epoch))
                    : share();
  std::string head = place(), bar = "  [", percent = fmt::format("  {:3.0f}%", part * 100);
  for (int i = 0; i < kBar; ++i) bar += i < static_cast<int>(part * kBar) ? '#' : '.';
  bar += "]";
  std::string rows = fmt::format("  {:>5} rows/s", number3(rows_per_second_)),
              steps = fmt::format("  {:>5} it/s", number3(steps_per_second_));
  std::string loss_text = loss();
  std::string eta = last_.total_steps && steps_per_second_ > 0
                        ? fmt::format("  ETA {}", clock_text(static_cast<double>(last_.total_steps - last_.step) / steps_per_second_))
                        : "";
  for (const std::string& text :
       {head + bar + percent + steps + rows + loss_text + eta, head + bar + percent + steps + loss_text + eta,
        head + bar + percent + loss_text + eta, head + percent + loss_text + eta, head + percent + loss_text, head + percent})
    if (static_cast<int>(text.size()) < width) return text;
  return "";
}

std::string Progress::line() { return bar(1 << 20).replace(place().size(), kBar + 4, ""); }

void Waiting::begin(const std::string& what) {
  end();
  std::lock_guard lock(mutex_);
  what_ = what;
  due_ = Clock::now() + std::chrono::seconds(1);
  if (!thread_.joinable()) thread_ = std::thread([this] { watch(); });
  else if (idle_) changed_.notify_one();   // else it looks again within a second
}

void Waiting::end() {
  std::lock_guard lock(mutex_);
  if (seconds_ && terminal_) std::cerr << "\r\033[K" << std::flush;
  due_ = Clock::time_point::max();
  seconds_ = 0;
}

Waiting::~Waiting() {
  end();
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Waiting::watch() {
  std::unique_lock lock(mutex_);
  while (!done_) {
    if (due_ == Clock::time_point::max()) {
      idle_ = true;
      changed_.wait(lock);
      idle_ = false;
    } else if (Clock::time_point due = due_; Clock::now() < due) {
      changed_.wait_until(lock, due);
    } else if (terminal_) {
      std::cerr << fmt::format("\r{}  {} s\033[K", what_, ++seconds_) << std::flush;
      due_ += std::chrono::seconds(1);
    } else {
      std::cerr << what_ << " ..." << std::endl;
      due_ = Clock::time_point::max();
    }
  }
}

}  // namespace mlc
