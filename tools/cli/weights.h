// What a run's state begins with, beyond the initial values that the workbench gives it: files, fitted transforms.
#pragma once
#include "compiler/model/model.h"
#include "runtime/data/dataset.h"
#include "tools/cli/workbench.h"

#include <string>
#include <vector>

namespace mlc {

/// Loads the weights that `init` rules name; notes what a file has that nobody took. Paths are relative to `folder`.
void load_weights(const Model& model, Workbench& bench, const std::string& folder, std::vector<std::string>& notes);
/// Lets the averages of weights begin as the weights: those of frozen parameters stay so until they thaw.
void begin_averages(const Model& model, Workbench& bench);
/// Fits the transforms that need it on the training rows, and writes their state.
void fit_transforms(Model& model, Workbench& bench, const Dataset& data);
/// Reads a checkpoint's tensors into the state; throws RuntimeError where one is missing.
void load_checkpoint(const std::string& path, const Model& model, Workbench& bench);

}  // namespace mlc
