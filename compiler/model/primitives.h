// The functions that formulas call without a definition: thin covers of the builder, which also work on numbers and
// lists at build time.
#pragma once
#include "compiler/model/evaluator.h"

#include <string_view>
#include <vector>

namespace mlc {

/// Arguments in the order of the primitive's names; kind none where an optional one is absent.
struct PrimitiveCall {
  Evaluator& evaluator;
  std::string name;
  std::vector<Value> args;
  Loc loc;
};

struct Primitive {
  const char* name;
  const char* parameters;     ///< names in order, optional ones with `?`, separated by spaces
  Value (*apply)(PrimitiveCall&);
  const char* doc;
};

const std::vector<Primitive>& primitives();
const Primitive* find_primitive(std::string_view name);
/// Functions of the language that this version does not have yet.
bool is_planned_primitive(std::string_view name);
/// Binds the arguments and applies. Faults stand at the arguments or at `loc`.
Value apply_primitive(const Primitive& primitive, Evaluator& evaluator, const std::vector<Given>& given, Loc loc);

}  // namespace mlc
