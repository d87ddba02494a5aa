// Faults within text data files.
#pragma once
#include "compiler/base/diagnostics.h"

#include <string>
#include <utility>

namespace mlc {

/// A fault at a line of a text file, counted from 1. `token`: the field or character at fault, where there is one. what() is
/// "PATH:LINE: TEXT".
struct TextFault : RuntimeError {
  TextFault(std::string file, int64_t at, std::string fault, std::string part = "")
      : RuntimeError(file + ":" + std::to_string(at) + ": " + fault), path(std::move(file)), line(at), text(std::move(fault)),
        token(std::move(part)) {}
  std::string path;
  int64_t line = 0;
  std::string text, token;
};

/// The fault as a message at its line, which is read again for it; the carets stand under the token where the line has it once. Long lines
/// are not quoted.
Diagnostic located(const TextFault& fault, Sources& sources);

}  // namespace mlc
