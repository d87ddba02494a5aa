// Names in the user's own definitions.
#pragma once
#include "compiler/model/library.h"

#include <string>
#include <vector>

namespace mlc {

/// What formulas of definitions may use beside the definition's own names.
struct NamesAround {
  std::vector<std::string> values;      ///< `vars`
  std::vector<std::string> functions;   ///< networks, which are called like functions
};

/// Looks up every name, function and op of a user's definition, whether it is used or not, in branches that are not taken too.
/// Throws SpecError at the first one that is not known.
void check_definition_names(const Definition& definition, const NamesAround& around, Library& library);

/// What formulas may call: the library's functions and the primitives.
std::vector<std::string> function_names(const Library& library);
/// "unknown function 'f'; did you mean 'g'?" at `loc`: for formulas of `around`'s networks and the library.
SpecError unknown_function(const std::string& name, Loc loc, const std::vector<std::string>& networks, const Library& library);
/// "unknown name 'b'; did you mean 'bias'?" among `names` and what every formula knows.
SpecError unknown_value(const std::string& name, Loc loc, std::vector<std::string> names);
/// "unknown op 'liner'; did you mean 'linear'?", or what a loss does among the layers.
SpecError unknown_op(const std::string& op, Loc loc, Loc at, bool transforms, Library& library);

}  // namespace mlc
