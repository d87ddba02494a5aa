// Where the characters of a YAML scalar stand in its file.
#pragma once
#include "compiler/spec/node.h"

#include <string_view>
#include <vector>

namespace mlc {

/// `source` is the file's text, `start` the byte at which the scalar begins (its quote, its first character, or the `|` or `>`
/// of a block) and `loc` that place; `value` is the scalar as read. Empty where an escape does not show its character.
std::vector<TextRun> text_runs(std::string_view source, size_t start, Loc loc, std::string_view value, bool quoted);

}  // namespace mlc
