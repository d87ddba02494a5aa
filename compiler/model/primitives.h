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

/// Arguments by type; faults name the argument. Numbers count as tensors of one element.
ValueId tensor_argument(PrimitiveCall& call, size_t i, ValueId like = kNoValue);
int64_t integer_argument(PrimitiveCall& call, size_t i);
int64_t integer_argument(PrimitiveCall& call, size_t i, int64_t fallback);
std::string argument_name(const PrimitiveCall& call, size_t i);      ///< "'x' of conv"

/// primitives_window.cpp
Value conv(PrimitiveCall& call);
Value conv_transpose(PrimitiveCall& call);
Value window(PrimitiveCall& call);
Value resample(PrimitiveCall& call);

const std::vector<Primitive>& primitives();
const Primitive* find_primitive(std::string_view name);
/// Binds the arguments and applies. Faults stand at the arguments or at `loc`.
Value apply_primitive(const Primitive& primitive, Evaluator& evaluator, const std::vector<Given>& given, Loc loc);

}  // namespace mlc
