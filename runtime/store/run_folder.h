// The folder that a run writes: spec.yaml, metrics.jsonl, checkpoints/, report files.
#pragma once
#include <fstream>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace mlc {

class RunFolder {
public:
  /// Makes `base`/runs/<name>/<local time>/ and points runs/<name>/latest at it; a second run within the same second gets
  /// "-2" behind it. Characters of `name` that are not letters, digits, '.', '_' or '-' become '-'.
  static RunFolder create(const std::string& name, const std::string& base = ".");
  /// Uses this folder (`--out`), made where it is missing. Throws RuntimeError when it holds anything but a run.
  static RunFolder at(const std::string& path);

  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
  std::string checkpoint(std::string_view name) const { return file("checkpoints/" + std::string(name) + ".safetensors"); }

  /// Writes a file of the run atomically.
  void write(std::string_view name, std::string_view text) const;
  /// Appends one line to metrics.jsonl and flushes it. Numbers that are not finite become null.
  void event(const nlohmann::ordered_json& json);
  /// Starts anew: an empty metrics.jsonl, and none of the checkpoints and folders of folds and trials that an earlier run left.
  void clear();
  /// The same for a folder whose trainings have folders of their own within it.
  void clear_for_series();
  /// Makes room for a checkpoint of this rank (from 1) among `kept`: the ones from there on are renamed by one. Returns
  /// its name: "best", "best2", "best3", ...
  std::string insert_ranked(int64_t rank, int64_t kept) const;

private:
  explicit RunFolder(std::string path);
  std::string path_;
  std::ofstream events_;
};

/// One event as a line of JSON without its line end: numbers in full precision, null for those that are not finite,
/// bytes that are not UTF-8 replaced.
std::string event_line(const nlohmann::ordered_json& json);

}  // namespace mlc
