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
  if (line_open_) std::cerr << "\r\033[K";
  line_open_ = false;
}

void Printer::header(const std::vector<std::pair<std::string, std::string>>& lines, const nlohmann::ordered_json& json) {
  event(json);
  if (settings_.quiet) return;
  for (const auto& [key, text] : lines) std::cerr << fmt::format("{:<8}{}\n", key, text);
}

void Printer::message(const std::string& text) {
  event({{"event", "message"}, {"severity", "warning"}, {"text", text}});
  clear_line();
  std::cerr << "mlc: warning: " << text << "\n";
}

void Printer::on_call(const CallReport& r) {
  double rate = r.seconds > 0 ? static_cast<double>(r.rows) / r.seconds : 0;
  rate_ = rate_ == 0 ? rate : 0.7 * rate_ + 0.3 * rate;
  if (!settings_.terminal || settings_.quiet) return;
  auto now = std::chrono::steady_clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  int width = terminal_width();
  double part = r.steps_per_epoch ? static_cast<double>(r.step_in_epoch) / static_cast<double>(r.steps_per_epoch) : 0;
  std::string line = fmt::format("epoch {}{}  ", r.epoch, r.epochs ? fmt::format("/{}", r.epochs) : "");
  std::string tail = fmt::format(" {:3.0f}%", part * 100);
  double per_step = r.steps ? r.seconds / r.steps : 0;
  std::string rows = fmt::format("  {:6.0f} rows/s", rate_), loss = fmt::format("  loss {:>7}", number4(r.loss));
  std::string eta = r.total_steps ? fmt::format("  ETA {}", duration_text(per_step * static_cast<double>(r.total_steps - r.step))) : "";
  // Narrow terminals lose the rate first, then the bar, then the time left.
  auto fits = [&](const std::string& text) { return static_cast<int>(text.size()) < width; };
  std::string bar = "[";
  for (int i = 0; i < 20; ++i) bar += i < static_cast<int>(part * 20) ? '#' : '.';
  bar += "]";
  std::string text = line + bar + tail + rows + loss + eta;
  if (!fits(text)) text = line + bar + tail + loss + eta;
  if (!fits(text)) text = line + tail + loss + eta;
  if (!fits(text)) text = line + tail + loss;
  if (!fits(text)) return;
  std::cerr << "\r" << text << "\033[K" << std::flush;
  line_open_ = true;
}

namespace {

nlohmann::ordered_json report_json(const char* event, const EpochReport& r) {
  nlohmann::ordered_json json = {{"event", event}, {"epoch", r.epoch}, {"step", r.step}, {"seconds", r.elapsed}, {"train_loss", r.train_loss}};
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
  validated_ = now;
  clear_line();
  std::cerr << fmt::format("step {:<5}", r.step) << report_text(r);
}

void Printer::on_epoch(const EpochReport& r) {
  event(report_json("epoch", r));
  if (settings_.quiet) return;
  // Above 30 epochs every n-th line stays, and the last.
  int64_t each = settings_.epochs > 30 ? (settings_.epochs + 19) / 20 : 1;
  if (r.epoch % each != 0 && r.epoch != settings_.epochs && r.epoch != 1) return;
  clear_line();
  std::cerr << fmt::format("epoch {:<4}", r.epoch) << report_text(r);
}

void Printer::line(const std::string& text, const nlohmann::ordered_json& json) {
  clear_line();
  event(json);
  if (!settings_.quiet) std::cerr << text << "\n";
}

void Printer::summary(const std::string& text, const nlohmann::ordered_json& json) {
  clear_line();
  event(json);
  if (!settings_.quiet) std::cerr << text;
}

}  // namespace mlc
