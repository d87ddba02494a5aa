// What layers, transforms, optimizers, schedules and losses take where the spec says nothing.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/node.h"

namespace mlc {

/// The effective spec with the arguments that its items (of models, blocks and transforms, at any depth), optimizers, schedules and named
/// losses leave to their definitions, as defaults (Origin::implied). The result means the same: a default that has another value, or
/// none, where the spec's formulas are read is left out, or with `remarks` a remark for print_spec() (a null with the formula as its
/// text). Names that are not known stay as they are.
Node with_argument_defaults(Node spec, Sources& sources, bool remarks = false);

}  // namespace mlc
