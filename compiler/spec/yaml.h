// YAML 1.2 text to spec trees. The only user of yaml-cpp.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/node.h"

namespace mlc {

/// Reads one document of the file. Core schema: `1e-3` is a number, `no` is text, `0o10` is eight, `010` is ten. Refused with a
/// place: repeated keys, tags, `<<`, a second document, bytes that are not UTF-8, keys that are not scalars, more than 200
/// levels or 1,000,000 nodes after aliases. A syntax error ends the reading; then, and for an empty file, the result is null
/// (Kind::null) and the fault is in `diagnostics`.
Node parse_yaml(Sources& sources, uint32_t file, Diagnostics& diagnostics);

}  // namespace mlc
