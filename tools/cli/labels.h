// Labels of the data that are no class.
#pragma once
#include "compiler/model/model.h"
#include "runtime/data/dataset.h"

#include <optional>
#include <string>

namespace mlc {

/// The first label outside of the classes that no loss of the model ignores (`ignore_index`), with its place and what to do.
std::optional<std::string> unknown_label(const Dataset& data, const Model& model);

}  // namespace mlc
