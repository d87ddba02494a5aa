#include "compiler/plan/updates.h"

#include "compiler/base/text.h"
#include "compiler/plan/axes.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>

namespace mlc {
namespace {

class Finder {
public:
  Finder(const Graph& graph, const StateLayout* state, std::vector<Refusal>& refusals)
      : graph_(graph), state_(state), refusals_(refusals), users_(graph.users()), stored_(graph.ops.size(), 0) {
    for (const Store& s : graph.stores) ++stored_[s.value];
    find_slots();
    count_generations();
  }

  std::vector<Group> run() {
    std::map<std::string, size_t> group_of;
    std::vector<Group> groups;
    for (const Store& store : graph_.stores) {
      const Tensor& tensor = graph_.tensors[static_cast<size_t>(store.tensor)];
      if (tensor.role != Role::parameter) continue;
      UpdateMember member;
      std::string signature;
      if (!collect(store, member, signature)) continue;
      auto [it, fresh] = group_of.insert({signature, groups.size()});
      // Behind a parameter that this step does not train a new run begins.
      if (!fresh && !follows(groups[it->second].members.back(), member)) it->second = groups.size(), fresh = true;
      if (fresh) {
        Group g;
        g.form = Form::update;
        groups.push_back(std::move(g));
      }
      groups[it->second].members.push_back(std::move(member));
    }
    for (Group& g : groups) {
      for (const UpdateMember& m : g.members) g.body.insert(g.body.end(), m.body.begin(), m.body.end());
      std::sort(g.body.begin(), g.body.end());
      g.anchor = g.body.front();
    }
    return groups;
  }

private:
  bool follows(const UpdateMember& former, const UpdateMember& member) const {
    if (!state_) return true;
    auto offset = [&](TensorId id) { return state_->offsets.at(graph_.tensors[static_cast<size_t>(id)].path); };
    int64_t step = aligned(graph_.tensors[static_cast<size_t>(former.parameter)].type.bytes());
    bool near = offset(member.parameter) == offset(former.parameter) + step;
    for (size_t s = 0; s < member.slots.size(); ++s) near = near && offset(member.slots[s]) == offset(former.slots[s]) + step;
    return near;
  }

  // The ops behind a parameter's new value and slots, and their formula as text.
  bool collect(const Store& store, UpdateMember& member, std::string& signature) {
    const Tensor& parameter = graph_.tensors[static_cast<size_t>(store.tensor)];
    member.parameter = store.tensor;
    std::vector<std::pair<std::string, Store>> roots{{"p", store}};
    auto [first, last] = slots_.equal_range(store.tensor);
    for (auto it = first; it != last; ++it) {
      const Tensor& t = graph_.tensors[static_cast<size_t>(it->second.tensor)];
      if (t.type == parameter.type) roots.push_back({t.path.substr(0, t.path.size() - parameter.path.size() - 1), it->second});
    }
    std::sort(roots.begin() + 1, roots.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (size_t i = 1; i < roots.size(); ++i) member.slots.push_back(roots[i].second.tensor);

    std::set<ValueId> cone = grow(roots, true);
    if (feeds_back(cone)) cone = grow(roots, false);
    for (const auto& [name, s] : roots)
      if (!cone.count(s.value)) return refuse(s.value, "the new value of '" + name + "' is not an elementwise chain of its own");
    member.body.assign(cone.begin(), cone.end());

    std::map<ValueId, int> number;
    std::map<ValueId, std::string> external;
    std::function<std::string(ValueId)> name = [&](ValueId v) -> std::string {
      const Op& op = graph_.ops[v];
      if (cone.count(v)) return "%" + std::to_string(number.at(v));
      if (op.code == OpCode::state) {
        if (op.attr.tensor == store.tensor) return "p";
        for (size_t i = 0; i < member.slots.size(); ++i)
          if (member.slots[i] == op.attr.tensor) return "slot" + std::to_string(i);
      }
      if (op.code == OpCode::constant && op.attr.values.size() == 1) return format_number(op.attr.values[0]);
      if (op.code == OpCode::scalar) return "#" + std::to_string(op.attr.index);
      if (op.code == OpCode::broadcast && graph_.ops[op.in[0]].type.elements() == 1) return name(op.in[0]);
      if (op.type.shape.empty() || op.type.elements() == 1) return "value" + std::to_string(v);
      auto it = std::find(member.externals.begin(), member.externals.end(), v);
      if (it == member.externals.end()) it = member.externals.insert(member.externals.end(), v);
      return "g" + std::to_string(it - member.externals.begin());
    };
    for (ValueId v : member.body) {
      const Op& op = graph_.ops[v];
      number[v] = static_cast<int>(number.size());
      signature += std::string(op_info(op.code).name) + std::string(dtype_name(op.type.dtype)) + "(";
      for (ValueId in : op.in) signature += name(in) + ",";
      signature += ")";
    }
    int generation = 0;
    for (ValueId v : member.body) generation = std::max(generation, generation_[v]);
    if (generation) signature += " generation " + std::to_string(generation);
    for (const auto& [root, s] : roots) signature += " " + root + "=" + name(s.value);
    for (ValueId v : member.externals)
      if (is_inline(graph_.ops[v].code) || graph_.ops[v].type.dtype != DType::f32)
        return refuse(v, "the gradient is not a value in memory of the parameter's shape");
    for (ValueId v : member.externals)
      if (!taken_.insert(v).second) return refuse(v, "two parameters share this gradient");
    return true;
  }

  // How many parameters have changed, one after the other, before a value can be computed: updates that read what
  // others have made cannot share their loop.
  void count_generations() {
    std::set<ValueId> fresh;
    for (const Store& s : graph_.stores)
      if (graph_.tensors[static_cast<size_t>(s.tensor)].role == Role::parameter && !users_[s.value].empty()) fresh.insert(s.value);
    generation_.assign(graph_.ops.size(), 0);
    for (ValueId v = 0; v < graph_.ops.size(); ++v)
      for (ValueId in : graph_.ops[v].in) generation_[v] = std::max(generation_[v], generation_[in] + static_cast<int>(fresh.count(in)));
  }

  // Slots by the parameter whose path theirs ends with, the longest where one path ends with another.
  void find_slots() {
    std::unordered_map<std::string_view, TensorId> parameters;
    for (size_t i = 0; i < graph_.tensors.size(); ++i)
      if (graph_.tensors[i].role == Role::parameter) parameters.emplace(graph_.tensors[i].path, static_cast<TensorId>(i));
    for (const Store& s : graph_.stores) {
      const Tensor& t = graph_.tensors[static_cast<size_t>(s.tensor)];
      if (t.role != Role::slot) continue;
      std::string_view path = t.path;
      for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.', dot + 1)) {
        auto owner = parameters.find(path.substr(dot + 1));
        if (owner == parameters.end()) continue;
        slots_.emplace(owner->second, s);
        break;
      }
    }
  }

  // True when an op outside reads of the cone and is read by it (the norm of a new slot, say): one loop cannot hold it.
  bool feeds_back(const std::set<ValueId>& cone) const {
    std::set<ValueId> outside;
    for (ValueId v : cone)
      for (ValueId u : users_[v])
        if (!cone.count(u)) outside.insert(u);
    if (outside.empty()) return false;
    for (ValueId v = *outside.begin(); v <= *cone.rbegin(); ++v) {
      const std::vector<ValueId>& in = graph_.ops[v].in;
      bool reads = std::any_of(in.begin(), in.end(), [&](ValueId i) { return outside.count(i); });
      if (reads && cone.count(v)) return true;
      if (reads) outside.insert(v);
    }
    return false;
  }

  // Elementwise ops (of the parameter's shape, as their operands are) that only this update reads, and with `shared` the new values that
  // others read too.
  std::set<ValueId> grow(const std::vector<std::pair<std::string, Store>>& roots, bool shared) {
    std::set<ValueId> cone;
    std::vector<ValueId> queue;
    for (const auto& r : roots) queue.push_back(r.second.value);
    // Highest first: an op joins when all of its readers have.
    std::sort(queue.begin(), queue.end());
    std::set<ValueId, std::greater<>> open(queue.begin(), queue.end());
    while (!open.empty()) {
      ValueId v = *open.begin();
      open.erase(open.begin());
      const Op& op = graph_.ops[v];
      if (!is_elementwise(op.code) || op.per_sample) continue;
      int own_stores = 0;
      for (const auto& r : roots) own_stores += r.second.value == v;
      if (stored_[v] != own_stores) continue;
      if (!(shared && own_stores) && !std::all_of(users_[v].begin(), users_[v].end(), [&](ValueId u) { return cone.count(u); })) continue;
      cone.insert(v);
      for (ValueId in : op.in) open.insert(in);
    }
    return cone;
  }

  bool refuse(ValueId v, std::string reason) {
    refusals_.push_back({v, v, "F12", std::move(reason)});
    return false;
  }

  const Graph& graph_;
  const StateLayout* state_;
  std::vector<Refusal>& refusals_;
  Users users_;
  std::vector<int> stored_, generation_;
  std::multimap<TensorId, Store> slots_;   // by parameter
  std::set<ValueId> taken_;   // gradients lie side by side like their parameters: each has one place
};

}  // namespace

std::vector<Group> find_updates(const Graph& graph, const StateLayout* state, std::vector<Refusal>& refusals) {
  return Finder(graph, state, refusals).run();
}

}  // namespace mlc
