#include "runtime/store/run_folder.h"

#include "compiler/base/diagnostics.h"
#include "runtime/store/atomic_file.h"

#include <cctype>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include <vector>

namespace fs = std::filesystem;

namespace mlc {

namespace {

std::string folder_name(const std::string& name) {
  std::string out;
  for (char c : name) {
    bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-' || (c & 0x80);
    out += plain ? c : '-';
  }
  // "." and ".." would leave the folder of runs.
  return out.find_first_not_of('.') == std::string::npos ? "run" : out;
}

std::string local_time() {
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d_%H-%M-%S", &parts);
  return text;
}

[[noreturn]] void fail(const fs::path& path, const std::error_code& error) {
  throw RuntimeError(path.string() + ": cannot make this folder: " + error.message());
}

/// A link that always points somewhere: made under another name, then renamed over the old one.
void point_latest(const fs::path& runs, const std::string& target) {
  fs::path fresh = runs / (".latest-" + std::to_string(getpid()));
  std::error_code error;
  fs::remove(fresh, error);
  fs::create_directory_symlink(target, fresh, error);
  if (!error) fs::rename(fresh, runs / "latest", error);
  if (error) fs::remove(fresh, error);  // a file system without links: the run itself is not at fault
}

// The folder of a fold or trial: its name, and what a run leaves in it.
bool is_part(const fs::path& path) {
  std::string name = path.filename().string();
  size_t digits = name.find_last_not_of("0123456789") + 1;
  std::string word = name.substr(0, digits);
  std::error_code error;
  return digits < name.size() && (word == "fold" || word == "trial") && !fs::is_symlink(path, error) &&
         fs::exists(path / "metrics.jsonl", error);
}

}  // namespace

RunFolder::RunFolder(std::string path) : path_(std::move(path)) {
  std::error_code error;
  fs::create_directories(fs::path(path_) / "checkpoints", error);
  if (error) fail(path_, error);
}

RunFolder RunFolder::create(const std::string& name, const std::string& base) {
  fs::path runs = fs::path(base) / "runs" / folder_name(name);
  std::error_code error;
  fs::create_directories(runs, error);
  if (error) fail(runs, error);
  std::string time = local_time(), unique = time;
  // create_directory tells whether this run made it, so two runs never share a folder.
  for (int i = 2; !fs::create_directory(runs / unique, error); ++i) {
    if (error) fail(runs / unique, error);
    unique = time + "-" + std::to_string(i);
  }
  point_latest(runs, unique);
  return RunFolder((runs / unique).lexically_normal().string());
}

RunFolder RunFolder::at(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_directory(path, error)) throw RuntimeError(path + ": is a file, not a folder");
  bool empty = !fs::exists(path, error) || fs::is_empty(path, error);
  bool run = fs::exists(fs::path(path) / "spec.yaml", error) || fs::exists(fs::path(path) / "checkpoints", error);
  if (!empty && !run) throw RuntimeError(path + ": holds other files than a run's; name an empty folder or one that mlc made");
  return RunFolder(path);
}

void RunFolder::write(std::string_view name, std::string_view text) const { write_file(file(name), text); }

void RunFolder::event(const nlohmann::ordered_json& json) {
  if (!events_.is_open()) events_.open(file("metrics.jsonl"), std::ios::app | std::ios::binary);
  events_ << event_line(json) << '\n' << std::flush;
  if (!events_) throw RuntimeError(file("metrics.jsonl") + ": cannot write; is the disk full?");
}

void RunFolder::clear() {
  events_.close();
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(file("checkpoints"), error))
    if (entry.path().extension() == ".safetensors") fs::remove(entry.path(), error);
  std::vector<fs::path> parts;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, error))
    if (is_part(entry.path())) parts.push_back(entry.path());
  for (const fs::path& part : parts) fs::remove_all(part, error);
  write("metrics.jsonl", "");
}

void RunFolder::clear_for_series() {
  clear();
  std::error_code error;
  fs::remove(file("checkpoints"), error);
}

std::string RunFolder::insert_ranked(int64_t rank, int64_t kept) const {
  auto name = [](int64_t r) { return r == 1 ? std::string("best") : "best" + std::to_string(r); };
  std::error_code error;
  for (int64_t r = kept - 1; r >= rank; --r) {
    fs::rename(checkpoint(name(r)), checkpoint(name(r + 1)), error);
    if (error) throw RuntimeError(checkpoint(name(r)) + ": cannot be renamed: " + error.message());
  }
  return name(rank);
}

std::string event_line(const nlohmann::ordered_json& json) {
  // The library writes null for numbers that are not finite.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace mlc
