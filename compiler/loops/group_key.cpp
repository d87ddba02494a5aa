#include "compiler/loops/group_key.h"

#include "compiler/base/diagnostics.h"
#include "compiler/plan/axes.h"

#include <algorithm>

namespace mlc::loops {
namespace {

using Stores = std::vector<std::pair<ValueId, TensorId>>;

constexpr auto kByValue = [](const auto& a, const auto& b) { return a.first < b.first; };

// Writes what the lowerings read of a group: its ops, the index maps and leaves below them down to values in memory, and
// where all of these lie.
class KeyWriter {
public:
  KeyWriter(const Graph& graph, const Plan& plan, const Stores& stores) : graph_(graph), plan_(plan), stores_(stores) {}

  GroupKey run(const Group& group) {
    group_ = graph_.ops[group.anchor].group;
    seen_ = group.body;
    // The list grows as it is walked.
    for (size_t next = 0; next < seen_.size(); ++next) reach(seen_[next]);
    // Numbers in order of the graph, so that whatever goes by the order of values goes by that of the numbers.
    std::sort(seen_.begin(), seen_.end());
    seen_.erase(std::unique(seen_.begin(), seen_.end()), seen_.end());
    put(group.form, number(group.anchor), seen_.size());
    for (ValueId v : seen_) put_value(v);
    for (const auto* list : {&group.body, &group.reads, &group.writes}) {
      put(list->size());
      for (ValueId v : *list) put(number(v));
    }
    return std::move(key_);
  }

private:
  bool inside(ValueId v) const { return graph_.ops[v].group == group_; }
  // Attention looks for a causal mask behind a condition in memory.
  bool is_mask(ValueId v) const { return graph_.ops[v].code == OpCode::le || graph_.ops[v].code == OpCode::lt; }

  void reach(ValueId v) {
    const Op& op = graph_.ops[v];
    if (!inside(v) && !is_inline(op.code) && !is_mask(v)) return;
    // What stands twice at once is walked once: a value is reached from near its readers.
    for (ValueId in : op.in)
      if (std::find(seen_.begin(), seen_.end(), in) == seen_.end()) seen_.push_back(in);
  }

  size_t number(ValueId v) const { return static_cast<size_t>(std::lower_bound(seen_.begin(), seen_.end(), v) - seen_.begin()); }

  template <class... T> void put(T... words) { (append(static_cast<int64_t>(words)), ...); }
  void append(int64_t word) { key_.text.append(reinterpret_cast<const char*>(&word), sizeof word); }
  template <class T> void put_list(const std::vector<T>& list) {
    put(list.size());
    key_.text.append(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(T));
  }
  void put_text(const std::string& text) {
    put(text.size());
    key_.text += text;
  }

  void put_place(ArgRef ref) {
    ref = argument_place(plan_, ref);
    auto at = std::find(key_.places.begin(), key_.places.end(), ref);
    put(ref.kind, at - key_.places.begin());
    if (at == key_.places.end()) key_.places.push_back(ref);
  }
  void put_tensor(ArgRef::Kind kind, TensorId id) {
    const Tensor& t = graph_.tensors[static_cast<size_t>(id)];
    put_place({kind, kNoValue, id});
    put(t.type.dtype, t.row_pitch());
    put_list(t.type.shape);
  }

  void put_value(ValueId v) {
    const Op& op = graph_.ops[v];
    const Attributes& a = op.attr;
    put(op.code, inside(v), op.per_sample, op.type.dtype, op.layout.blocked, op.layout.block, a.groups, a.axis, a.index, a.stream);
    put_list(op.type.shape);
    put_list(op.layout.order);
    put_list(a.values);
    for (const auto* list : {&a.dims, &a.begin, &a.end, &a.step, &a.size, &a.dilation}) put_list(*list);
    put_text(a.labels);
    bool followed = inside(v) || is_inline(op.code) || is_mask(v);
    put(followed ? op.in.size() : 0);
    if (followed)
      for (ValueId in : op.in) put(number(in));
    if (op.code == OpCode::state) {
      put_tensor(ArgRef::Kind::state, a.tensor);
    } else if (op.code == OpCode::input) {
      put_tensor(ArgRef::Kind::column, a.tensor);
      put_place({ArgRef::Kind::rows, kNoValue, -1});
    } else if (bool kept = plan_.buffer_of.count(v) > 0; kept || !is_inline(op.code)) {
      put(kept);
      put_place({ArgRef::Kind::value, v, -1});
    }
    if (!inside(v)) return;
    auto [first, last] = std::equal_range(stores_.begin(), stores_.end(), std::pair(v, TensorId{}), kByValue);
    put(std::distance(first, last));
    for (auto it = first; it != last; ++it)
      put_tensor(graph_.tensors[static_cast<size_t>(it->second)].role == Role::output ? ArgRef::Kind::output : ArgRef::Kind::state,
                 it->second);
  }

  const Graph& graph_;
  const Plan& plan_;
  const Stores& stores_;
  int32_t group_ = -1;
  std::vector<ValueId> seen_;
  GroupKey key_;
};

}  // namespace

ArgRef argument_place(const Plan& plan, ArgRef ref) {
  if (ref.kind != ArgRef::Kind::value) return ref;
  for (auto it = plan.in_place.find(ref.value); it != plan.in_place.end(); it = plan.in_place.find(ref.value)) ref.value = it->second;
  if (auto it = plan.resident.find(ref.value); it != plan.resident.end()) return {ArgRef::Kind::state, kNoValue, it->second};
  return ref;
}

std::vector<ArgRef> moved_arguments(const std::vector<ArgRef>& args, const GroupKey& from, const GroupKey& to) {
  std::vector<ArgRef> out;
  for (const ArgRef& a : args) {
    auto at = std::find(from.places.begin(), from.places.end(), a);
    ensure(at != from.places.end(), "lower: an argument is not in the group's key");
    out.push_back(to.places.at(static_cast<size_t>(at - from.places.begin())));
  }
  return out;
}

GroupKeys::GroupKeys(const Graph& graph, const Plan& plan) : graph_(graph), plan_(plan) {
  for (const Store& s : graph.stores) stores_.push_back({s.value, s.tensor});
  std::stable_sort(stores_.begin(), stores_.end(), kByValue);
}

std::optional<GroupKey> GroupKeys::of(const Group& group) const {
  if (group.form == Form::update) return std::nullopt;
  return KeyWriter(graph_, plan_, stores_).run(group);
}

}  // namespace mlc::loops
