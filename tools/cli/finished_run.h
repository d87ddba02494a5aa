// What eval, predict and diff open: the folder of a run that is over.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/spec.h"
#include "runtime/data/dataset.h"

#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// A finished run: its effective spec, its weights, and what its data were.
struct FinishedRun {
  std::string folder, checkpoint;
  Node spec;
  std::optional<Schema> schema;           ///< as the checkpoint has it
};
/// `sets` are put into the spec. Throws RuntimeError where `folder` is no run or has no checkpoint.
FinishedRun open_run(const std::string& folder, const std::vector<std::string>& sets, Sources& sources, Diagnostics& diagnostics);

}  // namespace mlc
