#include "compiler/base/diagnostics.h"
#include "compiler/graph/graph.h"
#include "compiler/graph/vjp.h"

#include <unordered_map>

namespace mlc {
namespace {

class Reverse {
public:
  Reverse(Graph& graph, ValueId loss, const std::vector<CustomGradient>& custom)
      : graph_(graph), builder_(graph), loss_(loss), cotangents_(loss + 1, kNoValue) {
    const Op& op = graph.op(loss);
    ensure(is_float(op.type.dtype) && op.type.shape.empty(), "differentiate: the loss must be one shared float");
    for (const CustomGradient& c : custom) {
      for (ValueId operand : c.operands) ensure(operand < c.result, "differentiate: a stated gradient's operand follows its result");
      if (c.result <= loss) custom_.emplace(c.result, &c);
    }
  }

  std::vector<ValueId> run(const std::vector<ValueId>& wrt) {
    mark(wrt);
    if (needed_[loss_]) cotangents_[loss_] = builder_.constant(1, graph_.type(loss_).dtype);
    for (ValueId id = loss_ + 1; id-- > 0;)
      if (cotangents_[id] != kNoValue && needed_[id]) visit(id);
    std::vector<ValueId> out;
    for (ValueId value : wrt) out.push_back(value <= loss_ ? cotangents_[value] : kNoValue);
    return out;
  }

private:
  /// A value is needed when it depends on one of `wrt` through differentiable ops.
  void mark(const std::vector<ValueId>& wrt) {
    needed_.assign(loss_ + 1, false);
    for (ValueId value : wrt)
      if (value <= loss_) needed_[value] = is_float(graph_.type(value).dtype);
    for (ValueId id = 0; id <= loss_; ++id) {
      auto stated = custom_.find(id);
      const Op& op = graph_.op(id);
      if (!is_float(op.type.dtype) || (stated == custom_.end() && !is_differentiable(op.code))) continue;
      for (ValueId operand : stated != custom_.end() ? stated->second->operands : op.in)
        if (needed_[operand]) needed_[id] = true;
    }
  }

  void visit(ValueId id) {
    // Ops of the derivative belong to the place and scope of the op they come from.
    builder_.at(graph_.op(id).loc);
    builder_.leave(graph_.op(id).scope);
    ValueId cotangent = cotangents_[id];
    auto stated = custom_.find(id);
    const std::vector<ValueId> operands = stated != custom_.end() ? stated->second->operands : graph_.op(id).in;
    std::vector<ValueId> contributions;
    if (stated != custom_.end()) {
      contributions = stated->second->rule(cotangent);
      ensure(contributions.size() == operands.size(), "differentiate: a stated gradient needs one cotangent per operand");
    } else {
      std::vector<bool> wanted;
      for (ValueId operand : operands) wanted.push_back(needed_[operand]);
      contributions = operand_cotangents(builder_, id, cotangent, wanted);
    }
    for (size_t i = 0; i < operands.size(); ++i)
      if (contributions[i] != kNoValue && needed_[operands[i]]) contribute(operands[i], contributions[i]);
  }

  void contribute(ValueId to, ValueId cotangent) {
    ensure(graph_.type(cotangent) == graph_.type(to) && graph_.op(cotangent).per_sample == graph_.op(to).per_sample,
           "differentiate: a cotangent must have its value's type");
    ValueId& sum = cotangents_[to];
    sum = sum == kNoValue ? cotangent : builder_.add(OpCode::add, {sum, cotangent}, {});
  }

  Graph& graph_;
  Builder builder_;
  ValueId loss_;
  std::vector<ValueId> cotangents_;
  std::vector<bool> needed_;
  std::unordered_map<ValueId, const CustomGradient*> custom_;
};

}  // namespace

std::vector<ValueId> differentiate(Graph& graph, ValueId loss, const std::vector<ValueId>& wrt, const std::vector<CustomGradient>& custom) {
  size_t first = graph.ops.size();
  std::vector<ValueId> gradients = Reverse(graph, loss, custom).run(wrt);
  for (size_t i = first; i < graph.ops.size(); ++i) graph.ops[i].part = StepPart::backward;
  return gradients;
}

}  // namespace mlc
