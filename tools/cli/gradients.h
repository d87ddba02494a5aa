// mlc check --grad.
#pragma once
#include "tools/cli/cli.h"

namespace mlc {

/// Compares the gradients of a spec with central differences on a few of its rows; prints a table. False where one is off
/// or the spec is at fault, which was printed.
bool check_gradients(const Arguments& arguments);

}  // namespace mlc
