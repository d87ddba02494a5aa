#include "tools/cli/printer.h"

#include "compiler/base/text.h"
#include "tools/cli/cli.h"

#include <fmt/core.h>

#include <cmath>
#include <iostream>

namespace mlc {

std::string number4(double v) {
  if (!std::isfinite(v)) return fmt::format("{}", v);
  double a = std::fabs(v);
  if (a != 0 && (a < 1e-3 || a >= 1e5)) return fmt::format("{:.3e}", v);
  return fmt::format("{:.{}f}", v, a >= 1000 ? 0 : a >= 100 ? 1 : a >= 10 ? 2 : a >= 1 ? 3 : 4);
}

std::string duration_text(double s) {
  if (s < 9.95e-6) return fmt::format("{:.2f} us", 1e6 * s);
  if (s < 9.95e-5) return fmt::format("{:.1f} us", 1e6 * s);
  if (s < 0.00995) return fmt::format("{:.2f} ms", 1e3 * s);
  if (s < 0.0995) return fmt::format("{:.1f} ms", 1e3 * s);
  if (s < 10) return fmt::format("{:.2f} s", s);
  if (s < 120) return fmt::format("{:.1f} s", s);
  auto whole = static_cast<int64_t>(s);
  if (whole < 7200) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

void Printer::event(const nlohmann::ordered_json& json) {
  folder_.event(json);
  if (settings_.json) std::cout << event_line(json) << std::endl;
}

void Printer::clear_line() {
  if (settings_.waiting) settings_.waiting->end();
  if (line_open_) std::cerr << "\r\033[K";
  line_open_ = false;
}

void Printer::wait(const std::string& what) {
  clear_line();
  if (settings_.waiting) settings_.waiting->begin(what);
}

void Printer::header(const std::vector<std::pair<std::string, std::string>>& lines, const nlohmann::ordered_json& json) {
  clear_line();
  event(json);
  if (settings_.quiet) return;
  for (const auto& [key, text] : lines) std::cerr << fmt::format("{:<8}{}\n", key, text);
}

void Printer::message(const std::string& text) {
  event({{"event", "message"}, {"severity", "warning"}, {"code", ""}, {"text", text}, {"fix", ""}});
  clear_line();
  std::cerr << "mlc: warning: " << text << "\n";
}

void Printer::on_call(const CallReport& r) {
  if (settings_.waiting) settings_.waiting->end();
  progress_.add(r);
  if (settings_.quiet) return;
  Clock::time_point now = Clock::now();
  if (settings_.terminal) {
    if (now - drawn_ < std::chrono::milliseconds(100)) return;
    drawn_ = now;
    std::string text = progress_.bar(terminal_width() ? terminal_width() : 80);
    if (text.empty()) return;
    std::cerr << "\r" << text << "\033[K" << std::flush;
    line_open_ = true;
    return;
  }
  int parts = settings_.by_epoch ? 0 : static_cast<int>(progress_.share() * 20);
  if (parts <= parts_ && now - printed_ < std::chrono::seconds(30)) return;
  parts_ = std::max(parts, parts_);
  printed_ = now;
  std::cerr << progress_.line() << std::endl;
}

namespace {

nlohmann::ordered_json report_json(const char* event, const EpochReport& r) {
  nlohmann::ordered_json json = {
      {"event", event}, {"epoch", r.epoch}, {"step", r.step}, {"seconds", r.elapsed}, {"train_loss", r.train_loss}};
  for (const auto& [name, value] : r.train) json["train_" + name] = value;
  if (r.val_loss) json["val_loss"] = *r.val_loss;
  for (const auto& [name, value] : r.val) json["val_" + name] = value;
  json["lr"] = r.lr;
  return json;
}

std::string report_text(const EpochReport& r) {
  std::string line = fmt::format(" train loss {:>7}", number4(r.train_loss));
  for (const auto& [name, value] : r.train) line += fmt::format("  {} {}", name, number4(value));
  if (r.val_loss) line += fmt::format("  val loss {:>7}", number4(*r.val_loss));
  for (const auto& [name, value] : r.val) line += fmt::format("  val {} {}", name, number4(value));
  return line + (r.best && r.val_loss ? " *" : "") + "  " + duration_text(r.seconds) + "\n";
}

}  // namespace

void Printer::on_validation(const EpochReport& r) {
  event(report_json("validation", r));
  if (settings_.quiet) return;
  // At most two lines a second, and the best.
  auto now = std::chrono::steady_clock::now();
  if (!r.best && now - validated_ < std::chrono::milliseconds(500)) return;
  validated_ = printed_ = now;
  clear_line();
  std::cerr << fmt::format("step {:<5}", r.step) << report_text(r);
}

void Printer::on_epoch(const EpochReport& r) {
  event(report_json("epoch", r));
  if (settings_.quiet) return;
  std::string line = fmt::format("epoch {:<4}", r.epoch) + report_text(r);
  bool best = r.best && r.val_loss;
  // Of more than 30 epochs one in n has a line, the best of the n where one was the best so far; of an unknown number two a second.
  int64_t each = settings_.epochs > 30 ? (settings_.epochs + 19) / 20 : 1;
  bool due =
      settings_.epochs > 0 ? r.epoch % each == 0 || r.epoch == settings_.epochs : Clock::now() - printed_ >= std::chrono::milliseconds(500);
  (best ? best_ : last_) = line;
  if (best) last_.clear();
  if (due || r.epoch == 1) print_held(r.epoch == settings_.epochs);
}

// Of the lines held back the best one, else the last; both where that is the run's last.
void Printer::print_held(bool last) {
  clear_line();
  if (!best_.empty()) std::cerr << best_;
  if (!last_.empty() && (best_.empty() || last)) std::cerr << last_;
  if (!best_.empty() || !last_.empty()) printed_ = Clock::now();
  best_.clear(), last_.clear();
}

void Printer::line(const std::string& text, const nlohmann::ordered_json& json) {
  clear_line();
  event(json);
  if (!settings_.quiet) std::cerr << text << "\n";
}

void Printer::summary(const std::string& text, const nlohmann::ordered_json& json) {
  clear_line();
  event(json);
  if (settings_.quiet) return;
  print_held(true);
  std::cerr << text;
}

}  // namespace mlc
