#include "compiler/loops/lower.h"

#include "compiler/base/hash.h"
#include "compiler/loops/templates.h"

namespace mlc::loops {

Lowered lower(const Graph& graph, const Group& group, const Plan& plan, const Target& target, bool templates) {
  Lowered out;
  switch (group.form) {
  case Form::update: lower_update(graph, group, plan, out); break;
  case Form::attention:
    templates ? lower_attention(graph, group, plan, target, out) : lower_attention_plain(graph, group, plan, out);
    break;
  case Form::special: lower_special(graph, group, plan, out); break;
  case Form::window: lower_window(graph, group, plan, target, templates, out); break;
  case Form::contract:
    if (templates && lower_contract(graph, group, plan, target, out)) break;
    [[fallthrough]];
  case Form::rows: lower_rows(graph, group, plan, out); break;
  }
  // Equal kernels have equal names: the names of buffers in dumps do not count.
  std::vector<std::string> names;
  for (KernelBuffer& b : out.kernel.buffers) names.push_back(std::move(b.name)), b.name.clear();
  out.kernel.name = "k_" + hash_hex(hash_bytes(print_kernel(out.kernel)));
  for (size_t i = 0; i < names.size(); ++i) out.kernel.buffers[i].name = std::move(names[i]);
  return out;
}

}  // namespace mlc::loops
