#include "compiler/graph/ir.h"

#include <array>
#include <unordered_map>

namespace mlc {
namespace {

constexpr OpInfo kOps[] = {
#define OP(name, cls, operands, attributes, doc) {#name, OpClass::cls, operands, attributes, doc},
#include "compiler/graph/ops.def"
};

}  // namespace

const OpInfo& op_info(OpCode code) { return kOps[static_cast<size_t>(code)]; }

size_t op_code_count() { return std::size(kOps); }

bool parse_op_code(std::string_view name, OpCode* out) {
  static const auto kByName = [] {
    std::unordered_map<std::string_view, OpCode> map;
    for (size_t i = 0; i < std::size(kOps); ++i) map.emplace(kOps[i].name, static_cast<OpCode>(i));
    return map;
  }();
  auto found = kByName.find(name);
  if (found == kByName.end()) return false;
  *out = found->second;
  return true;
}

}  // namespace mlc
