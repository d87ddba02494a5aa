// Which keys of `data` mean something to which reader.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/node.h"
#include "runtime/data/settings.h"

namespace mlc {

/// Reports keys of `data` that the reader or dataset at hand would not look at: nothing is silently without effect.
void check_data_keys(const Node& data, Diagnostics& diagnostics);

/// Reports a fallback whose samples have another shape than the dataset's, or another number of classes.
void check_fallback(const DataSettings& settings, Diagnostics& diagnostics);

}  // namespace mlc
