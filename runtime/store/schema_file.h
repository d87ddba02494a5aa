// A dataset's schema as text: checkpoints carry it, so that a run can be applied where its data are not.
#pragma once
#include "compiler/base/schema.h"

#include <string>

namespace mlc {

/// The entry of a checkpoint's metadata that holds it.
inline constexpr const char* kSchemaEntry = "data.schema";

/// JSON. Pitches are left out: they belong to the rows in memory.
std::string schema_to_text(const Schema& schema);
/// Throws RuntimeError that starts with `path` where the text is no schema.
Schema schema_from_text(const std::string& text, const std::string& path);

}  // namespace mlc
