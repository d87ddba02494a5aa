#include "compiler/base/host_variables.h"
#include "compiler/base/text.h"
#include "compiler/graph/text_form.h"

#include <array>

namespace mlc {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"input", "parameter", "running", "slot", "output"};

std::string list(const std::vector<double>& values) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) out += (i ? ", " : "") + format_number(values[i]);
  return out + "]";
}

std::string attribute(const Op& op, std::string_view name) {
  const Attributes& a = op.attr;
  if (name == "values") return list(a.values);
  if (name == "dims") return format_shape(a.dims);
  if (name == "begin") return format_shape(a.begin);
  if (name == "end") return format_shape(a.end);
  if (name == "step") return format_shape(a.step);
  if (name == "size") return format_shape(a.size);
  if (name == "dilation") return format_shape(a.dilation);
  if (name == "groups") return std::to_string(a.groups);
  if (name == "axis") return std::to_string(a.axis);
  if (name == "tensor") return "@" + std::to_string(a.tensor);
  if (name == "index") return "#" + std::to_string(a.index);
  if (name == "stream") return std::to_string(a.stream);
  return quote(a.labels);
}

void print_op(const Graph& graph, ValueId id, std::string& out) {
  const Op& op = graph.ops[id];
  const OpInfo& info = op_info(op.code);
  std::string line = "%" + std::to_string(id) + " = " + std::string(info.name);
  for (ValueId operand : op.in) line += " %" + std::to_string(operand);
  if (!info.attributes.empty())
    for (const std::string& name : split(info.attributes, ' ')) line += " " + name + "=" + attribute(op, name);
  line += " : " + format_type(op.type);
  if (op.per_sample) line += " sample";
  if (op.group >= 0) line += " group=" + std::to_string(op.group);
  out += line;
  if (op.scope > 0) {
    const std::string& path = graph.scopes[static_cast<size_t>(op.scope)].path;
    constexpr size_t kScopeColumn = 64;
    out += std::string(line.size() < kScopeColumn ? kScopeColumn - line.size() : 1, ' ') + "; " + path;
  }
  out += "\n";
}

}  // namespace

std::string_view role_name(Role role) { return kRoles[static_cast<size_t>(role)]; }

bool parse_role(std::string_view name, Role* out) {
  for (size_t i = 0; i < kRoles.size(); ++i)
    if (kRoles[i] == name) return *out = static_cast<Role>(i), true;
  return false;
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if (byte < 0x20 || byte == 0x7F) out += "\\x", out += "0123456789abcdef"[byte >> 4], out += "0123456789abcdef"[byte & 15];
    else out += c;
  }
  return out + "\"";
}

std::vector<std::string> formula_variables(const std::vector<HostState>& host_state) {
  std::vector<std::string> names = host_variables();
  for (const HostState& state : host_state) names.push_back(quote(state.path));
  return names;
}

bool of_layer(const Graph& graph, ValueId id, const std::string& layer) {
  const std::string& path = graph.scopes[static_cast<size_t>(graph.ops[id].scope)].path;
  return layer.empty() || path == layer || starts_with(path, layer + ".");
}

std::string print_graph(const Graph& graph, const std::string& layer) {
  std::string out = "graph " + quote(graph.name) + " batch=" + std::to_string(graph.batch) + "\n";
  std::vector<bool> shown(graph.ops.size()), read(graph.tensors.size(), layer.empty()), used(graph.scalars.size(), layer.empty());
  for (ValueId id = 0; id < graph.ops.size(); ++id) {
    const Attributes& attr = graph.ops[id].attr;
    shown[id] = of_layer(graph, id, layer);
    if (shown[id] && attr.tensor >= 0) read[static_cast<size_t>(attr.tensor)] = true;
    if (shown[id] && attr.index >= 0) used[static_cast<size_t>(attr.index)] = true;
  }
  for (const Store& store : graph.stores)
    if (shown[store.value]) read[static_cast<size_t>(store.tensor)] = true;
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    if (!read[i]) continue;
    const Tensor& t = graph.tensors[i];
    out += "tensor @" + std::to_string(i) + " " + std::string(role_name(t.role)) + " " + quote(t.path) + " " + format_type(t.type) +
           (t.pitch > 0 ? " pitch=" + std::to_string(t.pitch) : "") + "\n";
  }
  std::vector<std::string> variables = formula_variables(graph.host_state);
  for (const HostState& state : graph.host_state)
    if (layer.empty())
      out += "host " + quote(state.path) + " init=" + format_number(state.init) + " = " + state.update.print(variables) + "\n";
  for (size_t i = 0; i < graph.scalars.size(); ++i)
    if (used[i])
      out += "scalar #" + std::to_string(i) + " " + quote(graph.scalars[i].name) + " = " + graph.scalars[i].formula.print(variables) + "\n";
  for (ValueId id = 0; id < graph.ops.size(); ++id)
    if (shown[id]) print_op(graph, id, out);
  for (const Store& store : graph.stores)
    if (shown[store.value]) out += "store @" + std::to_string(store.tensor) + " %" + std::to_string(store.value) + "\n";
  return out;
}

}  // namespace mlc
