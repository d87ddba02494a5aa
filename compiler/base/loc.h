// Places in the user's files, and the texts they point into.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace mlc {

/// A range of characters on one line. `file` indexes `Sources`; 0 is "no place". Lines and columns count from 1,
/// columns in characters (not bytes). `len` is at least 1 where there is a place.
struct Loc {
  uint32_t file = 0, line = 0, col = 0, len = 0;
  explicit operator bool() const { return file != 0; }
  bool operator==(const Loc&) const = default;
};

/// The texts that diagnostics quote: spec files, `--set` arguments, embedded standard library files, data files.
/// Files are only ever added; references stay valid.
class Sources {
public:
  /// Adds a text under the name that messages show for it; returns its index (from 1).
  uint32_t add(std::string name, std::string text);
  const std::string& name(uint32_t file) const;
  const std::string& text(uint32_t file) const;
  /// One line without its line end; empty when the file has no such line.
  std::string_view line(uint32_t file, uint32_t line) const;
  size_t size() const { return files_.size(); }

private:
  struct File {
    std::string name, text;
    std::vector<size_t> starts;  // byte offset of each line
  };
  std::deque<File> files_;
};

}  // namespace mlc
