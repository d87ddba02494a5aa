#include "compiler/plan/axes.h"

#include "compiler/base/diagnostics.h"
#include "compiler/graph/window.h"

#include <map>
#include <span>

namespace mlc {

bool is_inline(OpCode code) {
  OpClass c = op_info(code).cls;
  return c == OpClass::leaf || code == OpCode::broadcast || code == OpCode::transpose || code == OpCode::slice || code == OpCode::reshape;
}

bool is_special(OpCode code) {
  return code == OpCode::cumsum || code == OpCode::pad || code == OpCode::concat || code == OpCode::take_grad ||
         code == OpCode::resample_grad;
}

bool is_reducing(OpCode code) {
  switch (code) {
  case OpCode::reduce_sum:
  case OpCode::reduce_max:
  case OpCode::reduce_min:
  case OpCode::reduce_prod:
  case OpCode::argmax:
  case OpCode::pick:
  case OpCode::contract: return true;
  default: return false;
  }
}

bool is_expensive(OpCode code) {
  switch (code) {
  case OpCode::exp:
  case OpCode::expm1:
  case OpCode::log:
  case OpCode::log1p:
  case OpCode::sin:
  case OpCode::cos:
  case OpCode::tanh:
  case OpCode::erf:
  case OpCode::sigmoid:
  case OpCode::pow:
  case OpCode::sqrt:
  case OpCode::rsqrt:
  case OpCode::div: return true;
  default: return is_reducing(code) || is_window(code) || code == OpCode::resample;
  }
}

bool is_unit_reshape(const Graph& graph, const Op& op) {
  if (op.code != OpCode::reshape) return false;
  const Shape &from = graph.type(op.in[0]).shape, &to = op.type.shape;
  size_t skip = op.per_sample ? 1 : 0, i = skip, j = skip;
  for (;;) {
    while (i < from.size() && from[i] == 1) ++i;
    while (j < to.size() && to[j] == 1) ++j;
    if (i == from.size() || j == to.size()) return i == from.size() && j == to.size();
    if (from[i++] != to[j++]) return false;
  }
}

bool reads_in_place(const Graph& graph, ValueId value) {
  // A reshape that splits: every axis that it reads is a run of whole axes of its result.
  auto splits = [&](const Op& op) {
    const Shape &from = graph.type(op.in[0]).shape, &to = op.type.shape;
    size_t j = op.per_sample ? 1 : 0;
    for (size_t i = j; i < from.size(); ++i) {
      if (from[i] == 1) continue;
      int64_t run = 1;
      while (j < to.size() && run < from[i]) run *= to[j++];
      if (run != from[i]) return false;
    }
    return true;
  };
  for (;;) {
    const Op& op = graph.ops[value];
    if (!is_inline(op.code)) return true;
    if (op.in.empty()) return op.code == OpCode::state;
    if (op.code == OpCode::reshape && !splits(op)) return false;
    value = op.in[0];
  }
}

std::set<int> AxisClasses::kept(ValueId op) const {
  std::set<int> out;
  for (int c : result.at(op))
    if (!unit(c)) out.insert(c);
  return out;
}

SourceList sources_of(const Graph& graph, ValueId reader) {
  SourceList out;
  for (ValueId operand : graph.ops[reader].in) {
    Source s{operand, true};
    while (is_inline(graph.ops[s.value].code) && !graph.ops[s.value].in.empty()) {
      const Op& op = graph.ops[s.value];
      s.plain &= op.code == OpCode::broadcast || op.code == OpCode::transpose || is_unit_reshape(graph, op);
      s.value = op.in[0];
    }
    out.push_back(s);
  }
  return out;
}

namespace {

class Classifier {
public:
  explicit Classifier(const Graph& graph) : graph_(graph) {}

  AxisClasses run(const std::vector<ValueId>& ops) {
    axes_.reserve(ops.size());
    for (ValueId id : ops) add(id);
    // Classes are numbered in order of first appearance, so that equal groups get equal numbers.
    AxisClasses out;
    out.result.reserve(ops.size());
    std::vector<int> number(parent_.size(), -1);
    auto resolve = [&](const std::vector<int>& nodes) {
      std::vector<int> classes;
      classes.reserve(nodes.size());
      for (int node : nodes) {
        int root = find(node);
        int& cls = number[static_cast<size_t>(root)];
        if (cls < 0) {
          cls = static_cast<int>(out.extent.size());
          out.extent.push_back(extent_[static_cast<size_t>(root)]);
          out.batch.push_back(false);
        }
        classes.push_back(cls);
      }
      return classes;
    };
    for (ValueId id : ops) {
      const Axes& axes = axes_.at(id);
      std::vector<int> result = resolve(axes.result);
      if (graph_.ops[id].per_sample) out.batch[static_cast<size_t>(result[0])] = true;
      out.result.append(id, std::move(result));
      if (!is_reducing(graph_.ops[id].code)) continue;
      std::vector<std::vector<int>> operands;
      for (const auto& operand : axes.operands) operands.push_back(resolve(operand));
      out.operands.append(id, std::move(operands));
      out.reduced.append(id, resolve(axes.reduced));
    }
    return out;
  }

private:
  int node(int64_t extent) {
    parent_.push_back(static_cast<int>(parent_.size()));
    extent_.push_back(extent);
    return parent_.back();
  }
  int find(int n) {
    while (parent_[static_cast<size_t>(n)] != n)
      n = parent_[static_cast<size_t>(n)] = parent_[static_cast<size_t>(parent_[static_cast<size_t>(n)])];
    return n;
  }
  void unify(int a, int b) {
    a = find(a), b = find(b);
    if (a != b && extent_[static_cast<size_t>(a)] == extent_[static_cast<size_t>(b)])
      parent_[static_cast<size_t>(std::max(a, b))] = std::min(a, b);
  }
  std::vector<int> nodes(const Shape& shape) {
    std::vector<int> out;
    out.reserve(shape.size());
    for (int64_t e : shape) out.push_back(node(e));
    return out;
  }

  void add(ValueId id) {
    const Op& op = graph_.ops[id];
    Axes axes;
    auto& [result, reduced, operands] = axes;
    if (is_elementwise(op.code)) {
      // Operands have the result's axes.
      result = nodes(op.type.shape);
      for (ValueId in : op.in) reach(in, result);
      axes_.append(id, std::move(axes));
      return;
    }
    for (ValueId in : op.in) operands.push_back(nodes(graph_.ops[in].type.shape));
    if (op.code == OpCode::contract) {
      ContractLabels labels = parse_labels(op.attr.labels);
      std::map<char, int> of;
      auto join = [&](const std::string& text, std::vector<int>& axes) {
        for (size_t i = 0; i < text.size(); ++i) {
          if (of.count(text[i])) unify(of[text[i]], axes[i]);
          else of[text[i]] = axes[i];
        }
      };
      join(labels.a, operands[0]);
      join(labels.b, operands[1]);
      for (char c : labels.out) result.push_back(of.at(c));
      for (char c : labels.a)
        if (labels.out.find(c) == std::string::npos) reduced.push_back(of.at(c));
    } else if (op.code == OpCode::pick) {
      for (size_t i = 0; i < operands[0].size(); ++i)
        if (static_cast<int64_t>(i) != op.attr.axis) result.push_back(operands[0][i]);
      for (size_t i = 0; i < operands[1].size(); ++i) unify(result[i], operands[1][i]);
      reduced = {operands[0][static_cast<size_t>(op.attr.axis)]};
    } else if (is_reducing(op.code)) {
      for (size_t i = 0; i < operands[0].size(); ++i) {
        bool gone = std::count(op.attr.dims.begin(), op.attr.dims.end(), static_cast<int64_t>(i));
        (gone ? reduced : result).push_back(operands[0][i]);
      }
    } else if (op.code == OpCode::take) {
      result = nodes(op.type.shape);
      for (size_t i = 0; i < operands[1].size(); ++i) unify(result[i], operands[1][i]);
    } else if (op.code == OpCode::resample) {
      // Places are [samples, rows, columns], or the same for all samples; the image has axes of its own.
      result = nodes(op.type.shape);
      for (size_t o : {1, 2}) {
        size_t rank = operands[o].size();
        if (rank == 3) unify(result[0], operands[o][0]);
        unify(result[2], operands[o][rank - 2]), unify(result[3], operands[o][rank - 1]);
      }
    } else {
      result = nodes(op.type.shape);
    }
    for (size_t i = 0; i < op.in.size(); ++i) reach(op.in[i], operands[i]);
    axes_.append(id, std::move(axes));
  }

  // Follows an operand through broadcasts and transposes to a producer of the set and joins their axes.
  void reach(ValueId value, std::span<const int> axes) {
    std::vector<int> held;   // where the axes are not those that came in
    for (;;) {
      const Op& op = graph_.ops[value];
      if (auto it = axes_.find(value); it != axes_.end()) {
        for (size_t i = 0; i < axes.size(); ++i)
          if (axes[i] >= 0) unify(it->second.result[i], axes[i]);
        return;
      }
      bool broadcast = op.code == OpCode::broadcast, transpose = op.code == OpCode::transpose;
      if (!broadcast && !transpose && !is_unit_reshape(graph_, op)) return;
      const Shape &from = graph_.type(op.in[0]).shape, &to = op.type.shape;
      std::vector<int> before(from.size(), -1);
      if (transpose) {
        for (size_t i = 0; i < axes.size(); ++i) before[static_cast<size_t>(op.attr.dims[i])] = axes[i];
      } else if (broadcast) {
        for (size_t j = 0; j < from.size(); ++j)
          if (from[j] == to[static_cast<size_t>(op.attr.dims[j])]) before[j] = axes[static_cast<size_t>(op.attr.dims[j])];
      } else {
        size_t skip = op.per_sample ? 1 : 0;
        if (skip) before[0] = axes[0];
        for (size_t i = skip, j = skip; i < from.size(); ++i) {
          if (from[i] == 1) continue;
          while (to[j] == 1) ++j;
          before[i] = axes[j++];
        }
      }
      held = std::move(before);
      axes = held;
      value = op.in[0];
    }
  }

  const Graph& graph_;
  std::vector<int> parent_;
  std::vector<int64_t> extent_;
  struct Axes {
    std::vector<int> result, reduced;
    std::vector<std::vector<int>> operands;
  };
  ByOp<Axes> axes_;   // nodes, of the ops so far
};

}  // namespace

AxisClasses classify_axes(const Graph& graph, const std::vector<ValueId>& ops) { return Classifier(graph).run(ops); }

}  // namespace mlc
