// One spec tree over another: includes, and definitions that extend others.
#pragma once
#include "compiler/spec/node.h"

namespace mlc {

/// Maps merge key by key, those of `lower` first; of all else, and where `type` differs, `upper` stays.
Node merged(Node lower, const Node& upper);

}  // namespace mlc
