// What a built graph tells about the spec: the layers before a fault of shapes, values that nobody uses.
#pragma once
#include "compiler/model/context.h"
#include "compiler/model/value.h"

namespace mlc {

/// Adds the last few layers before the item at `path`, with what they give, as aligned lines; `input` is the item's.
/// Clears `shapes`, so that the items around add nothing.
void add_shape_chain(const Context& context, const std::string& path, const Value& input, Diagnostic& diagnostic);

/// Warns of a finished graph: unused-value of items of the spec whose result no op reads and no output or store takes, and one
/// no-gradient for each update with parameters in Context::unreached, those of unused items left out.
void warn_unused(const Context& context);

}  // namespace mlc
