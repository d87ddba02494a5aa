// `eval` of a spec against the data it is to be computed on.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/base/schema.h"
#include "compiler/spec/node.h"

namespace mlc {

/// Metrics that do not fit the target, and reports that this version or these data do not have, go to `diagnostics`.
void check_evaluation(const Node& spec, const Schema& schema, Diagnostics& diagnostics);

}  // namespace mlc
