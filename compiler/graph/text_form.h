// The pieces of the graph's text form that printer and parser share.
#pragma once
#include "compiler/base/host_formula.h"
#include "compiler/graph/ir.h"

#include <string>
#include <string_view>
#include <vector>

namespace mlc {

std::string_view role_name(Role role);
bool parse_role(std::string_view name, Role* out);

/// Text in double quotes; quotes, backslashes and control characters are escaped.
std::string quote(std::string_view text);

/// Names of a formula's variables: host_variables(), then the quoted paths of the host state.
std::vector<std::string> formula_variables(const std::vector<HostState>& host_state);

/// Reads what HostFormula::print writes. A fault throws FormulaFault.
struct FormulaFault {
  size_t at;  ///< byte within the text
  std::string text;
};
HostFormula parse_host_formula(std::string_view text, const std::vector<std::string>& variables);

}  // namespace mlc
