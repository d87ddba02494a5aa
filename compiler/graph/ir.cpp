#include "compiler/graph/ir.h"

#include "compiler/base/diagnostics.h"

#include <algorithm>
#include <utility>

namespace mlc {

TensorId Graph::find_tensor(std::string_view path) const {
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].path == path) return static_cast<TensorId>(i);
  return -1;
}

Users::Users(const std::vector<Op>& ops) : begin_(ops.size() + 1, 0) {
  std::vector<ValueId> last(ops.size());
  auto each = [&](auto visit) {
    std::fill(last.begin(), last.end(), kNoValue);
    for (ValueId user = 0; user < ops.size(); ++user)
      for (ValueId operand : ops[user].in)
        if (std::exchange(last[operand], user) != user) visit(operand, user);
  };
  each([&](ValueId operand, ValueId) { ++begin_[operand + 1]; });
  for (size_t v = 0; v < ops.size(); ++v) begin_[v + 1] += begin_[v];
  readers_.resize(begin_.back());
  std::vector<uint32_t> next(begin_.begin(), begin_.end() - 1);
  each([&](ValueId operand, ValueId user) { readers_[next[operand]++] = user; });
}

ContractLabels parse_labels(std::string_view labels) {
  auto fail = [&](const char* why) { throw InternalError("contract labels \"" + std::string(labels) + "\": " + why); };
  size_t comma = labels.find(','), arrow = labels.find("->");
  if (comma == std::string_view::npos || arrow == std::string_view::npos || arrow < comma) fail("not of the form a,b->c");
  ContractLabels out{std::string(labels.substr(0, comma)), std::string(labels.substr(comma + 1, arrow - comma - 1)),
                     std::string(labels.substr(arrow + 2))};
  auto has = [](const std::string& text, char c) { return text.find(c) != std::string::npos; };
  for (const std::string* part : {&out.a, &out.b, &out.out})
    for (char c : *part) {
      if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')) fail("a label is not a letter");
      if (std::count(part->begin(), part->end(), c) != 1) fail("a label is repeated");
    }
  for (char c : out.out)
    if (!has(out.a, c) && !has(out.b, c)) fail("a label of the result is in no operand");
  for (char c : out.a)
    if (!has(out.b, c) && !has(out.out, c)) fail("a summed label is in one operand only");
  for (char c : out.b)
    if (!has(out.a, c) && !has(out.out, c)) fail("a summed label is in one operand only");
  return out;
}

}  // namespace mlc
