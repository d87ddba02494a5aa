// The schema that a spec declares itself: for `mlc check` where the data are not.
#pragma once
#include "compiler/base/schema.h"
#include "compiler/spec/node.h"
#include "runtime/data/settings.h"

#include <string>
#include <variant>
#include <vector>

namespace mlc {

/// Inputs from the `inputs` of the model, the target from `data.classes`; what a known dataset, the window of a text or
/// named columns tell need not be written. Else the names of the keys that are to be written.
std::variant<Schema, std::vector<std::string>> declared_schema(const Node& spec, const DataSettings& settings);

}  // namespace mlc
