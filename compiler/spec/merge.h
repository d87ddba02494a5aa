// One spec tree over another: includes, and definitions that extend others.
#pragma once
#include "compiler/spec/node.h"

namespace mlc {

/// Maps merge key by key, those of `lower` first; of all else, where `type` differs, and of `data` from another reader or dataset in place
/// of a reader, `upper` stays.
Node merged(Node lower, const Node& upper);

}  // namespace mlc
