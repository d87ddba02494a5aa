#include "runtime/data/text_file.h"

#include "runtime/data/text_fault.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>

namespace mlc {

namespace {

// gzip and plain bytes alike.
std::string read_all(gzFile file, const std::string& path) {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    int n = gzread(file, buffer, sizeof buffer);
    if (n < 0) {
      int code;
      throw RuntimeError(path + ": damaged gzip data (" + gzerror(file, &code) + ")");
    }
    if (n == 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  int code = Z_OK;
  gzerror(file, &code);
  if (code != Z_OK && code != Z_STREAM_END) throw RuntimeError(path + ": the gzip data end too early");
  return text;
}

}  // namespace

std::string read_text_file(const std::string& path) {
  if (path == kStandardInput) {
    std::unique_ptr<gzFile_s, int (*)(gzFile)> input(gzdopen(dup(STDIN_FILENO), "rb"), gzclose);
    if (!input) throw RuntimeError("standard input cannot be read");
    return read_all(input.get(), "standard input");
  }
  std::error_code fault;
  if (!std::filesystem::exists(path, fault)) throw RuntimeError(path + ": no such file");
  if (!std::filesystem::is_regular_file(path, fault)) throw RuntimeError(path + ": not a file");
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw RuntimeError(path + ": cannot be opened");
  return read_all(file.get(), path);
}

std::vector<CsvRecord> read_csv(const std::string& path, char delimiter, int64_t skip_lines) {
  std::string text = read_text_file(path);
  for (const char* mark : {"\xFF\xFE", "\xFE\xFF"})
    if (text.rfind(mark, 0) == 0) throw RuntimeError(path + ": the file is UTF-16; save it as UTF-8");
  if (size_t nul = text.find('\0'); nul != std::string::npos)
    throw TextFault(path, 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(nul), '\n'),
                    "a NUL byte: this is no text file");
  size_t at = text.rfind("\xEF\xBB\xBF", 0) == 0 ? 3 : 0;
  int64_t line = 1;
  for (; skip_lines > 0 && at < text.size(); --skip_lines, ++line) {
    size_t end = text.find('\n', at);
    at = end == std::string::npos ? text.size() : end + 1;
  }
  auto fail = [&](int64_t where, const std::string& what) { throw TextFault(path, where, what); };
  bool blanks = delimiter == ' ';
  std::vector<CsvRecord> out;
  while (at < text.size()) {
    CsvRecord record{{}, line};
    bool done = false;
    while (!done) {
      while (blanks && at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
      if (blanks && (at >= text.size() || text[at] == '\n' || text[at] == '\r')) {
        if (at < text.size() && text[at] == '\r') ++at;
        if (at < text.size()) ++at, ++line;
        break;
      }
      std::string field;
      if (at < text.size() && text[at] == '"') {
        int64_t opened = line;
        for (++at;; ++at) {
          if (at >= text.size()) fail(opened, "a quoted field is never closed");
          if (text[at] == '\n') ++line;
          if (text[at] != '"') {
            field += text[at];
          } else if (at + 1 < text.size() && text[at + 1] == '"') {
            field += text[++at];
          } else {
            ++at;
            break;
          }
        }
        bool ends = at >= text.size() || text[at] == delimiter || text[at] == '\n' || text[at] == '\r' || (blanks && text[at] == '\t');
        if (!ends) fail(line, "text behind a closing quote");
      } else {
        while (at < text.size() && text[at] != delimiter && text[at] != '\n' &&
               !(text[at] == '\r' && (at + 1 >= text.size() || text[at + 1] == '\n')) && !(blanks && text[at] == '\t'))
          field += text[at++];
      }
      record.fields.push_back(std::move(field));
      if (at < text.size() && text[at] == '\r') ++at;
      if (at >= text.size()) {
        done = true;
      } else if (text[at] == '\n') {
        ++at, ++line;
        done = true;
      } else {
        ++at;
        // A delimiter at the very end leaves one more, empty field.
        if (at >= text.size() && !blanks) record.fields.emplace_back(), done = true;
      }
    }
    bool empty = record.fields.empty() || (record.fields.size() == 1 && record.fields[0].empty());
    if (!empty) out.push_back(std::move(record));
  }
  return out;
}

}  // namespace mlc
