// What an optimizer, a schedule or a loss takes where the spec says nothing.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/node.h"

namespace mlc {

/// The effective spec with the arguments of its optimizers, schedules and named losses that have a value without the run, as
/// defaults (Origin::implied). Names that are not known stay as they are.
Node with_typed_defaults(Node spec, Sources& sources);

}  // namespace mlc
