// Order of the kernels, barriers, the state arena and the memory of a step.
#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "compiler/plan/axes.h"
#include "compiler/plan/plan.h"

#include <algorithm>
#include <functional>
#include <set>

namespace mlc {
namespace {

int64_t value_bytes(const Graph& graph, ValueId v) {
  return storage_elements(graph.type(v), graph.ops[v].layout) * dtype_bytes(graph.type(v).dtype);
}

// Results that may be written over an operand: elementwise from it, at the same index, in the same layout, and nobody
// else reads the operand then or later.
class InPlace {
public:
  InPlace(const Graph& graph, const Grouping& grouping, const std::vector<int>& segment, const std::map<ValueId, std::pair<int, int>>& life,
          std::set<ValueId> fixed)
      : graph_(graph), grouping_(grouping), segment_(segment), life_(life), taken_(std::move(fixed)) {
    for (size_t g = 0; g < grouping.groups.size(); ++g)
      for (ValueId v : grouping.groups[g].reads) readers_[v].push_back(static_cast<int>(g));
  }

  std::map<ValueId, ValueId> find() {
    std::map<ValueId, ValueId> out;
    for (size_t g = 0; g < grouping_.groups.size(); ++g) {
      const Group& group = grouping_.groups[g];
      bool reducing = group.form == Form::rows &&
                      std::any_of(group.body.begin(), group.body.end(), [&](ValueId v) { return is_reducing(graph_.ops[v].code); });
      if (reducing || (group.form != Form::rows && group.form != Form::contract && group.form != Form::window)) continue;
      for (ValueId result : group.writes) {
        if (!life_.count(result) || taken_.count(result)) continue;
        for (ValueId operand : group.reads) {
          if (!fits(result, operand, static_cast<int>(g))) continue;
          out[result] = operand;
          taken_.insert(operand);
          break;
        }
      }
    }
    return out;
  }

private:
  bool fits(ValueId result, ValueId operand, int g) const {
    auto it = life_.find(operand);
    if (it == life_.end() || taken_.count(operand)) return false;
    const Op &a = graph_.ops[result], &b = graph_.ops[operand];
    if (a.type != b.type || a.layout != b.layout) return false;
    for (int r : readers_.at(operand))
      if (r != g && segment_[static_cast<size_t>(r)] >= segment_[static_cast<size_t>(g)]) return false;
    for (ValueId v : grouping_.groups[static_cast<size_t>(g)].body) {
      const Op& op = graph_.ops[v];
      SourceList sources = sources_of(graph_, v);
      for (size_t i = 0; i < sources.size(); ++i)
        if (sources[i].value == operand && (op.in[i] != operand || !is_elementwise(op.code))) return false;
    }
    return depends(result, operand, g);
  }

  bool depends(ValueId v, ValueId operand, int g) const {
    for (ValueId in : graph_.ops[v].in)
      if (in == operand || (graph_.ops[in].group == g && depends(in, operand, g))) return true;
    return false;
  }

  const Graph& graph_;
  const Grouping& grouping_;
  const std::vector<int>& segment_;
  const std::map<ValueId, std::pair<int, int>>& life_;
  std::set<ValueId> taken_;                        // operands used up, and values whose place is decided otherwise
  std::map<ValueId, std::vector<int>> readers_;
};

bool read_outside(const Graph& graph, const Users& users, ValueId value, int group) {
  for (ValueId u : users[value])
    if (is_inline(graph.ops[u].code) ? read_outside(graph, users, u, group) : graph.ops[u].group != group) return true;
  return false;
}

}  // namespace

bool needs_buffer(const Graph& graph, const Users& users, ValueId value) {
  return read_outside(graph, users, value, graph.ops[value].group);
}

int64_t Plan::offset_of(ValueId value) const {
  auto it = buffer_of.find(value);
  ensure(it != buffer_of.end(), "plan: the value does not lie in the arena");
  const Buffer& b = buffers[static_cast<size_t>(it->second)];
  for (const Buffer::Slice& s : b.slices)
    if (s.value == value) return b.offset + s.offset;
  throw InternalError("plan: a buffer does not hold its value");
}

namespace {

// First and last segment of each value that lies in the arena.
std::map<ValueId, std::pair<int, int>> lifetimes(const Graph& graph, const Grouping& grouping, const Users& users,
                                                 const std::vector<int>& segment) {
  std::map<ValueId, std::pair<int, int>> life;
  for (size_t g = 0; g < segment.size(); ++g)
    for (ValueId v : grouping.groups[g].writes)
      if (needs_buffer(graph, users, v)) life[v] = {segment[g], segment[g]};
  for (size_t g = 0; g < segment.size(); ++g)
    for (ValueId v : grouping.groups[g].reads)
      if (auto it = life.find(v); it != life.end()) it->second.second = std::max(it->second.second, segment[g]);
  return life;
}

int64_t most_alive(const Graph& graph, const Grouping& grouping, const Users& users, const std::vector<int>& segment) {
  std::vector<Buffer> buffers;
  for (const auto& [v, l] : lifetimes(graph, grouping, users, segment))
    buffers.push_back({{{v, 0, value_bytes(graph, v), l.first, l.second}}});
  return live_bytes(buffers);
}

// Every group stands in the first segment that it can. One that makes more than it frees waits for the last: what it makes
// lives shorter, and is in the caches when it is read. No segment is added.
std::vector<int> put_off(const Graph& graph, const Grouping& grouping, const Users& users, const std::vector<std::set<int>>& before,
                         std::vector<int> segment) {
  size_t n = segment.size();
  std::vector<int> latest(n, -1), order(n);
  std::map<ValueId, std::vector<size_t>> readers;
  for (size_t g = 0; g < n; ++g) {
    order[g] = static_cast<int>(g);
    for (ValueId v : grouping.groups[g].reads) readers[v].push_back(g);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return segment[static_cast<size_t>(a)] > segment[static_cast<size_t>(b)]; });
  for (int at : order) {
    auto g = static_cast<size_t>(at);
    if (latest[g] > segment[g]) {
      int64_t gain = 0;   // bytes, for as many segments as they are not alive
      for (ValueId v : grouping.groups[g].writes)
        if (needs_buffer(graph, users, v)) gain += value_bytes(graph, v) * (latest[g] - segment[g]);
      for (ValueId v : grouping.groups[g].reads) {
        int last = segment[g];
        for (size_t r : readers[v])
          if (r != g) last = std::max(last, segment[r]);
        if (graph.ops[v].group >= 0 && last < latest[g]) gain -= value_bytes(graph, v) * (latest[g] - last);
      }
      if (gain > 0) segment[g] = latest[g];
    }
    for (int p : before[g]) {
      int& l = latest[static_cast<size_t>(p)];
      l = l < 0 ? segment[g] - 1 : std::min(l, segment[g] - 1);
    }
  }
  return segment;
}

}  // namespace

StateLayout layout_state(const Graph& graph, const Grouping& grouping) {
  StateLayout out;
  auto put = [&](TensorId id) {
    const Tensor& t = graph.tensors[static_cast<size_t>(id)];
    if (!out.offsets.insert({t.path, out.bytes}).second) return;
    out.bytes += aligned(t.type.bytes());
  };
  for (const Group& g : grouping.groups) {
    if (g.form != Form::update) continue;
    for (const UpdateMember& m : g.members) put(m.parameter);
    for (size_t s = 0; s < g.members[0].slots.size(); ++s)
      for (const UpdateMember& m : g.members) put(m.slots[s]);
  }
  for (size_t i = 0; i < graph.tensors.size(); ++i)
    if (graph.tensors[i].role != Role::input && graph.tensors[i].role != Role::output) put(static_cast<TensorId>(i));
  return out;
}

Plan schedule(const Graph& graph, const Grouping& grouping) {
  Plan plan;
  size_t n = grouping.groups.size();
  // A group runs one segment after all that it depends on: what it reads is written, and what it overwrites is read.
  std::vector<std::set<int>> before(n);
  for (size_t g = 0; g < n; ++g)
    for (ValueId v : grouping.groups[g].body)
      for (const Source& s : sources_of(graph, v))
        if (int p = graph.ops[s.value].group; p >= 0 && p != static_cast<int>(g)) before[g].insert(p);
  for (const auto& [value, readers] : grouping.state.old_readers)
    for (ValueId reader : readers)
      if (int writer = graph.ops[value].group, g = graph.ops[reader].group; g != writer) before[static_cast<size_t>(writer)].insert(g);
  std::vector<int> segment(n, -1);
  std::function<int(int)> depth = [&](int g) -> int {
    int& d = segment[static_cast<size_t>(g)];
    if (d == -2) throw InternalError("schedule: groups wait for each other");
    if (d >= 0) return d;
    d = -2;
    int deepest = 0;
    for (int p : before[static_cast<size_t>(g)]) deepest = std::max(deepest, depth(p) + 1);
    return segment[static_cast<size_t>(g)] = deepest;
  };
  std::vector<int> order(n);
  for (size_t g = 0; g < n; ++g) depth(static_cast<int>(g)), order[g] = static_cast<int>(g);
  Users users = graph.users();
  std::vector<int> late = put_off(graph, grouping, users, before, segment);
  if (most_alive(graph, grouping, users, late) < most_alive(graph, grouping, users, segment)) segment = std::move(late);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return segment[static_cast<size_t>(a)] < segment[static_cast<size_t>(b)]; });
  for (size_t i = 0; i < n; ++i) {
    int s = segment[static_cast<size_t>(order[i])];
    bool last = i + 1 == n || segment[static_cast<size_t>(order[i + 1])] != s;
    plan.steps.push_back({order[i], s, last});
  }

  std::map<ValueId, std::pair<int, int>> life = lifetimes(graph, grouping, users, segment);
  plan.resident = grouping.state.resident;
  for (const auto& [value, tensor] : plan.resident) life.erase(value);
  auto add = [&](Buffer b) {
    for (const Buffer::Slice& s : b.slices) plan.buffer_of[s.value] = static_cast<int>(plan.buffers.size());
    plan.buffers.push_back(std::move(b));
  };
  for (const Group& g : grouping.groups) {
    if (g.form != Form::update) continue;
    for (size_t e = 0; e < g.members[0].externals.size(); ++e) {
      Buffer b;
      for (const UpdateMember& m : g.members) {
        int64_t bytes = aligned(graph.tensors[static_cast<size_t>(m.parameter)].type.bytes());
        b.slices.push_back({m.externals[e], b.bytes, bytes, life.at(m.externals[e]).first, life.at(m.externals[e]).second});
        b.bytes += bytes;
      }
      add(std::move(b));
    }
  }
  std::set<ValueId> placed;
  for (const auto& [v, index] : plan.buffer_of) placed.insert(v);
  plan.in_place = InPlace(graph, grouping, segment, life, std::move(placed)).find();
  std::map<ValueId, std::vector<ValueId>> shared;
  for (const auto& [result, operand] : plan.in_place) {
    ValueId root = operand;
    while (plan.in_place.count(root)) root = plan.in_place.at(root);
    shared[root].push_back(result);
  }
  for (const auto& [v, l] : life) {
    if (plan.buffer_of.count(v) || plan.in_place.count(v)) continue;
    Buffer b;
    b.bytes = aligned(value_bytes(graph, v));
    b.slices.push_back({v, 0, b.bytes, l.first, l.second});
    // The operand's slice ends where the result's begins: the segment that makes the result is counted once.
    std::vector<ValueId>& results = shared[v];
    std::sort(results.begin(), results.end(), [&](ValueId x, ValueId y) { return life.at(x).first < life.at(y).first; });
    for (ValueId result : results) {
      b.slices.back().last = life.at(result).first - 1;
      b.slices.push_back({result, 0, b.bytes, life.at(result).first, life.at(result).second});
    }
    add(std::move(b));
  }
  plan.live_bytes = live_bytes(plan.buffers);
  plan.arena_bytes = place_buffers(plan.buffers);
  return plan;
}

void check_state(const Graph& graph, const Grouping& grouping, const StateLayout& state) {
  auto offset = [&](TensorId id) {
    auto it = state.offsets.find(graph.tensors[static_cast<size_t>(id)].path);
    ensure(it != state.offsets.end(), "plan: a state tensor has no place");
    return it->second;
  };
  for (const Group& g : grouping.groups) {
    if (g.form != Form::update) continue;
    const UpdateMember& first = g.members[0];
    int64_t at = 0;
    for (const UpdateMember& m : g.members) {
      ensure(offset(m.parameter) == offset(first.parameter) + at, "plan: the parameters of an update do not lie side by side");
      for (size_t s = 0; s < m.slots.size(); ++s)
        ensure(offset(m.slots[s]) == offset(first.slots[s]) + at, "plan: the slots of an update do not lie side by side");
      at += aligned(graph.tensors[static_cast<size_t>(m.parameter)].type.bytes());
    }
  }
}

void check_plan(const Graph& graph, const Grouping& grouping, const Plan& plan) {
  // Segments are counted again from the barriers alone.
  std::vector<int> segment(grouping.groups.size(), -1);
  int now = 0;
  for (const Step& s : plan.steps) {
    ensure(segment[static_cast<size_t>(s.group)] == -1, "plan: a group runs twice");
    segment[static_cast<size_t>(s.group)] = now;
    now += s.barrier_after;
  }
  struct Span {
    int64_t begin, end;
    int first, last;
    ValueId value;
  };
  std::vector<Span> spans;
  std::map<ValueId, size_t> span_of;
  for (const auto& [v, index] : plan.buffer_of) {
    int64_t begin = plan.offset_of(v);
    spans.push_back({begin, begin + value_bytes(graph, v), segment[static_cast<size_t>(graph.ops[v].group)],
                     segment[static_cast<size_t>(graph.ops[v].group)], v});
    span_of[v] = spans.size() - 1;
    ensure(begin >= 0 && spans.back().end <= plan.arena_bytes, "plan: a buffer lies outside the arena");
    ensure(begin % kAlign == 0, "plan: a buffer is not aligned");
  }
  for (size_t g = 0; g < grouping.groups.size(); ++g) {
    ensure(segment[g] >= 0, "plan: a group never runs");
    for (ValueId v : grouping.groups[g].body)
      for (const Source& s : sources_of(graph, v)) {
        int p = graph.ops[s.value].group;
        if (p < 0 || p == static_cast<int>(g)) continue;
        ensure(segment[static_cast<size_t>(p)] < segment[g], "plan: a value is read before the barrier behind its writer");
        if (plan.resident.count(s.value)) continue;
        auto found = span_of.find(s.value);
        ensure(found != span_of.end(), "plan: a value that is read has no buffer");
        Span& span = spans[found->second];
        span.last = std::max(span.last, segment[g]);
      }
  }
  // In place: the same bytes, and the operand's last reader is the group that writes the result.
  auto in_place = [&](const Span& result, const Span& operand) {
    auto it = plan.in_place.find(result.value);
    return it != plan.in_place.end() && it->second == operand.value && result.begin == operand.begin && result.end == operand.end &&
           operand.last == result.first;
  };
  auto check_pair = [&](const Span& a, const Span& b) {
    if (a.first > b.last || b.first > a.last || a.begin >= b.end || b.begin >= a.end) return;
    ensure(in_place(a, b) || in_place(b, a), "plan: two live buffers overlap");
  };
  // In order of time, beside what lives: that is disjoint but for equal stretches, so its neighbours tell.
  std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.first < b.first; });
  std::multimap<int64_t, const Span*> alive;                                  // by begin
  std::multimap<int, std::multimap<int64_t, const Span*>::iterator> ends;     // by last segment
  for (const Span& s : spans) {
    while (!ends.empty() && ends.begin()->first < s.first) alive.erase(ends.begin()->second), ends.erase(ends.begin());
    for (auto it = alive.lower_bound(s.begin); it != alive.end() && it->first < s.end; ++it) check_pair(*it->second, s);
    if (auto it = alive.lower_bound(s.begin); it != alive.begin()) check_pair(*std::prev(it)->second, s);
    ends.emplace(s.last, alive.emplace(s.begin, &s));
  }
  std::map<TensorId, int> writer_of;
  for (const Store& s : graph.stores)
    if (graph.tensors[static_cast<size_t>(s.tensor)].role != Role::output) writer_of[s.tensor] = graph.ops[s.value].group;
  for (size_t g = 0; g < grouping.groups.size(); ++g)
    for (ValueId v : grouping.groups[g].body)
      for (const Source& s : sources_of(graph, v)) {
        if (graph.ops[s.value].code != OpCode::state) continue;
        auto writer = writer_of.find(graph.ops[s.value].attr.tensor);
        if (writer != writer_of.end() && writer->second != static_cast<int>(g))
          ensure(segment[g] < segment[static_cast<size_t>(writer->second)], "plan: state is overwritten before it is read");
      }
}

std::string print_plan(const Graph& graph, const Grouping& grouping, const Plan& plan, const std::string& layer) {
  std::string out = "arena " + std::to_string(plan.arena_bytes) + " bytes, live at most " + std::to_string(plan.live_bytes) + " bytes\n";
  for (const Step& s : plan.steps) {
    const Group& g = grouping.groups[static_cast<size_t>(s.group)];
    if (!of_layer(graph, g, layer)) continue;
    const Op& op = graph.ops[g.anchor];
    out += "segment " + std::to_string(s.segment) + ": group " + std::to_string(s.group) + " " + form_name(g.form) + " " +
           graph.scopes[static_cast<size_t>(op.scope)].path + "." + std::string(op_info(op.code).name) +
           (s.barrier_after ? " | barrier" : "") + "\n";
  }
  for (const auto& [result, operand] : plan.in_place)
    if (of_layer(graph, result, layer)) out += "in place: %" + std::to_string(result) + " over %" + std::to_string(operand) + "\n";
  for (const Buffer& b : plan.buffers)
    for (const Buffer::Slice& s : b.slices)
      if (of_layer(graph, s.value, layer))
        out += "buffer %" + std::to_string(s.value) + " " + format_type(graph.type(s.value)) + " segments " + std::to_string(s.first) +
               ".." + std::to_string(s.last) + " offset " + std::to_string(b.offset + s.offset) + " bytes " +
               std::to_string(value_bytes(graph, s.value)) + "\n";
  return out;
}

}  // namespace mlc
