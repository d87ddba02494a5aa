#include "compiler/model/lints.h"

#include "compiler/base/text.h"

#include <algorithm>
#include <map>

namespace mlc {

void add_shape_chain(const Context& context, const std::string& path, const Value& input, Diagnostic& diagnostic) {
  constexpr size_t kMost = 5;
  diagnostic.shapes = false;
  // The item's neighbours, those of the groups around it, and its own branch: rows whose scope is this path or around it.
  std::vector<const LayerRow*> chain;
  for (const LayerRow& row : context.rows) {
    size_t dot = row.path.rfind('.');
    std::string scope = dot == std::string::npos ? "" : row.path.substr(0, dot + 1);
    if (!row.output.empty() && starts_with(path + ".", scope) && !starts_with(path + ".", row.path + ".")) chain.push_back(&row);
  }
  if (chain.empty()) return;
  bool cut = chain.size() > kMost;
  if (cut) chain.erase(chain.begin(), chain.end() - kMost);
  size_t name = 0, op = 0, shape = 0;
  for (const LayerRow* row : chain) {
    name = std::max(name, row->path.size());
    op = std::max(op, row->op.size());
    shape = std::max(shape, format_shape(row->output).size());
  }
  auto padded = [](const std::string& text, size_t width) { return text + std::string(width - std::min(width, text.size()), ' '); };
  diagnostic.lines.push_back(cut ? "the last layers before give" : "the layers before give");
  for (const LayerRow* row : chain) {
    std::string extent = format_shape(row->output);
    diagnostic.lines.push_back("  " + padded(row->path, name) + "  " + padded(row->op, op) + "  " +
                               std::string(shape - extent.size(), ' ') + extent);
  }
  if (!input.is(Value::Kind::tensor)) return;
  std::string extent = format_shape(context.builder.sample_shape(input.tensor));
  if (extent != format_shape(chain.back()->output)) diagnostic.lines.push_back("the input of this one is " + extent);
}

void warn_unused(const Context& context) {
  std::vector<bool> used(context.graph.ops.size(), false);
  for (const Op& op : context.graph.ops)
    for (ValueId v : op.in) used[v] = true;
  for (const Store& store : context.graph.stores) used[store.value] = true;
  for (const OutputValue& output : context.outputs) used[output.value] = true;
  std::vector<std::string> unused;
  for (const auto& [value, producer] : context.producers) {
    if (used[value] || producer.shipped) continue;
    unused.push_back(producer.path + ".");
    context.diagnostics.warning(producer.loc, "unused-value", "nothing uses the result of '" + producer.path + "'");
  }
  // One fault cuts off all parameters before it: one warning, at the first of them.
  std::map<std::string, std::vector<const Unreached*>> by_update;
  for (const Unreached& u : context.unreached)
    if (std::none_of(unused.begin(), unused.end(), [&](const std::string& item) { return starts_with(u.path, item); }))
      by_update[u.update].push_back(&u);
  for (const auto& [update, parameters] : by_update) {
    std::vector<std::string> names;
    for (size_t i = 0; i < std::min<size_t>(parameters.size(), 3); ++i) names.push_back("'" + parameters[i]->path + "'");
    std::string text = "the loss" + (update.empty() ? "" : " of '" + update + "'") + " does not reach ";
    if (parameters.size() == 1) text += "the parameter " + names[0];
    else text += std::to_string(parameters.size()) + " parameters: " + join(names, ", ");
    if (parameters.size() > names.size()) text += " and " + std::to_string(parameters.size() - names.size()) + " more";
    context.diagnostics.warning(parameters[0]->loc, "no-gradient", text);
  }
}

}  // namespace mlc
