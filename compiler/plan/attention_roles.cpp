// What the lowering of an attention must know: which contraction does what, and whether a causal mask lets it leave out
// the keys behind a query.
#include "compiler/plan/attention.h"
#include "compiler/plan/axes.h"

#include <algorithm>
#include <optional>

namespace mlc {
namespace {

constexpr double kLow = -1e20;   // what a mask puts in place of a score; scores themselves are far above

class Roles {
public:
  Roles(const Graph& graph, const Group& group) : graph_(graph), group_(group), inside_(group.body.begin(), group.body.end()) {}

  AttentionRoles run() {
    const Shape& shape = graph_.type(group_.anchor).shape;
    for (ValueId v : group_.body) {
      const Op& op = graph_.ops[v];
      if (op.code == OpCode::contract) continue;
      if (is_reducing(op.code) && op.type.shape.size() + 1 == shape.size()) out_.key = static_cast<size_t>(op.attr.dims[0]);
    }
    ContractLabels labels = parse_labels(graph_.ops[group_.anchor].attr.labels);
    for (size_t i = 0; i < labels.out.size(); ++i)
      if (i != out_.key && shape[i] > 1 &&
          (labels.a.find(labels.out[i]) == std::string::npos || labels.b.find(labels.out[i]) == std::string::npos))
        out_.query = i;
    out_.causal = true;
    for (ValueId v : group_.body) visit(v, shape);
    return out_;
  }

private:
  // What a score is where its key lies behind its query: any number, far below all scores, or exactly 0.
  enum class Behind { any, low, zero };

  void visit(ValueId v, const Shape& shape) {
    const Op& op = graph_.ops[v];
    if (op.code == OpCode::contract) {
      size_t scores = inside_.count(op.in[0]) ? 0 : inside_.count(op.in[1]) ? 1 : 2;
      if (scores == 2) return out_.makers.push_back(v);
      ContractLabels labels = parse_labels(op.attr.labels);
      bool sums_keys = labels.out.find((scores ? labels.b : labels.a)[out_.key]) == std::string::npos;
      (sums_keys ? out_.by_query : out_.by_key).push_back(v);
      out_.causal &= behind(op.in[scores]) == Behind::zero;
    } else if (is_reducing(op.code)) {
      Behind b = behind(op.in[0]);
      out_.causal &= op.code == OpCode::reduce_max ? b == Behind::low : op.code == OpCode::reduce_sum && b == Behind::zero;
    } else if (op.type.shape == shape && op.per_sample) {
      facts_[v] = fact(op);
    }
  }

  Behind behind(ValueId v) const {
    if (auto it = facts_.find(v); it != facts_.end()) return it->second;
    if (std::optional<double> c = constant(v)) return *c == 0 ? Behind::zero : *c <= kLow ? Behind::low : Behind::any;
    return Behind::any;
  }

  Behind fact(const Op& op) const {
    auto in = [&](size_t i) { return behind(op.in[i]); };
    switch (op.code) {
    case OpCode::select:
      if (std::optional<bool> seen = is_seen(op.in[0])) return in(*seen ? 2 : 1);
      return in(1) == in(2) ? in(1) : Behind::any;
    case OpCode::sub:
      if (in(0) == Behind::low && !facts_.count(op.in[1])) return Behind::low;
      [[fallthrough]];
    case OpCode::add: return in(0) == Behind::zero && in(1) == Behind::zero ? Behind::zero : Behind::any;
    case OpCode::exp: return in(0) == Behind::low ? Behind::zero : Behind::any;
    case OpCode::mul: return in(0) == Behind::zero || in(1) == Behind::zero ? Behind::zero : Behind::any;
    case OpCode::div:
    case OpCode::neg: return in(0) == Behind::zero ? Behind::zero : Behind::any;
    default: return Behind::any;
    }
  }

  std::optional<double> constant(ValueId v) const {
    while (graph_.ops[v].code == OpCode::broadcast) v = graph_.ops[v].in[0];
    const Op& op = graph_.ops[v];
    return op.code == OpCode::constant && op.attr.values.size() == 1 ? std::optional(op.attr.values[0]) : std::nullopt;
  }

  // True for key <= query, false for query < key, nothing for other conditions.
  std::optional<bool> is_seen(ValueId condition) const {
    std::vector<int> axes;
    ValueId v = through(condition, axes, true);
    const Op& op = graph_.ops[v];
    if (op.code != OpCode::le && op.code != OpCode::lt) return std::nullopt;
    int a = ramp(op.in[0], axes), b = ramp(op.in[1], axes);
    int key = static_cast<int>(out_.key), query = static_cast<int>(out_.query);
    if (op.code == OpCode::le && a == key && b == query) return true;
    if (op.code == OpCode::lt && a == query && b == key) return false;
    return std::nullopt;
  }

  // Behind broadcasts: the value, and for each of its axes the axis of the scores (-1: none).
  ValueId through(ValueId v, std::vector<int>& axes, bool fresh) const {
    if (fresh)
      for (size_t i = 0; i < graph_.type(v).shape.size(); ++i) axes.push_back(static_cast<int>(i));
    while (graph_.ops[v].code == OpCode::broadcast) {
      const Op& op = graph_.ops[v];
      const Shape& from = graph_.type(op.in[0]).shape;
      std::vector<int> before(from.size(), -1);
      for (size_t j = 0; j < from.size(); ++j)
        if (from[j] == op.type.shape[static_cast<size_t>(op.attr.dims[j])]) before[j] = axes[static_cast<size_t>(op.attr.dims[j])];
      axes = before;
      v = op.in[0];
    }
    return v;
  }

  // The axis of the scores that an index ramp runs along; -1 for other values.
  int ramp(ValueId v, std::vector<int> axes) const {
    v = through(v, axes, false);
    const Op& op = graph_.ops[v];
    return op.code == OpCode::iota ? axes[static_cast<size_t>(op.attr.axis)] : -1;
  }

  const Graph& graph_;
  const Group& group_;
  std::set<ValueId> inside_;
  std::map<ValueId, Behind> facts_;
  AttentionRoles out_;
};

}  // namespace

AttentionRoles attention_roles(const Graph& graph, const Group& group) { return Roles(graph, group).run(); }

}  // namespace mlc
