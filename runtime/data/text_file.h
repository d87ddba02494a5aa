// Whole text files, gzip or not, and CSV records in them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

/// The name of standard input among paths of a command line.
inline constexpr const char* kStandardInput = "-";

/// The file's bytes (kStandardInput: those of standard input); gzip is recognised by content. Throws RuntimeError that starts with `path`.
std::string read_text_file(const std::string& path);

struct CsvRecord {
  std::vector<std::string> fields;
  int64_t line = 0;                      ///< of its first character
};
/// RFC 4180: quoted fields with doubled quotes and line ends inside, CRLF or LF, a BOM skipped; empty lines are left out.
/// `delimiter` ' ' stands for runs of blanks. Throws TextFault for an open quote or text behind one.
std::vector<CsvRecord> read_csv(const std::string& path, char delimiter, int64_t skip_lines);

}  // namespace mlc
