#include "compiler/plan/contraction.h"

#include "compiler/plan/axes.h"

namespace mlc {
namespace {

constexpr int64_t kFarBytes = 1024;   // a row so long that neighbours in a column lie far apart

bool has(const std::string& text, char label) { return text.find(label) != std::string::npos; }

bool find_lane(const Graph& graph, const Op& op, const ContractLabels& labels, char label, ContractionRoles& roles) {
  if (has(labels.a, label) == has(labels.b, label)) return false;
  int operand = has(labels.b, label) ? 1 : 0;
  const std::string& text = operand ? labels.b : labels.a;
  const Op& v = graph.ops[op.in[static_cast<size_t>(operand)]];
  size_t axis = text.find(label);
  bool side_by_side = v.layout.blocked >= 0 ? v.layout.blocked == static_cast<int>(axis) : axis + 1 == text.size();
  if (!side_by_side || (is_inline(v.code) && v.code != OpCode::state)) return false;
  roles.lane = label, roles.vector = operand;
  return true;
}

}  // namespace

std::optional<ContractionRoles> contraction_roles(const Graph& graph, ValueId id) {
  const Op& op = graph.ops[id];
  ContractLabels labels = parse_labels(op.attr.labels);
  if (labels.out.empty() || op.type.dtype != DType::f32) return std::nullopt;
  ContractionRoles roles;
  // Along the result's own blocks where an operand has them, else along another axis that an operand has side by side.
  std::string wanted = op.layout.blocked >= 0 ? std::string(1, labels.out[static_cast<size_t>(op.layout.blocked)]) : "";
  wanted.append(labels.out.rbegin(), labels.out.rend());
  for (char label : wanted)
    if (find_lane(graph, op, labels, label, roles)) break;
  if (roles.lane == 0) return std::nullopt;
  for (char l : labels.a)
    if (!has(labels.out, l)) roles.k += l;
  for (char l : labels.out)
    if (l != roles.lane && !has(roles.vector ? labels.b : labels.a, l)) roles.row = l;  // the last one that the scalar operand alone has
  for (char l : labels.out)
    if (l != roles.lane && l != roles.row) roles.others += l;
  return roles;
}

bool reads_far_columns(const Graph& graph, ValueId id, const ContractionRoles& roles) {
  const Op& op = graph.ops[id];
  if (roles.k.size() != 1 || roles.row == 0) return false;
  const Op& scalar = graph.ops[op.in[static_cast<size_t>(1 - roles.vector)]];
  ContractLabels all = parse_labels(op.attr.labels);
  const std::string& labels = roles.vector ? all.a : all.b;
  if (scalar.layout.blocked >= 0 || (is_inline(scalar.code) && scalar.code != OpCode::state) || labels.size() < 2) return false;
  return labels.back() == roles.row && labels[labels.size() - 2] == roles.k[0] && scalar.type.shape.back() * 4 >= kFarBytes;
}

}  // namespace mlc
