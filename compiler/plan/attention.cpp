#include "compiler/plan/attention.h"

#include "compiler/base/diagnostics.h"
#include "compiler/graph/rewriter.h"
#include "compiler/plan/axes.h"

#include <algorithm>
#include <functional>
#include <optional>

namespace mlc {
namespace {

constexpr int64_t kMostFeatures = 256;              // of a head
constexpr int64_t kRowsInScratch = 4;               // scores, exponentials and their gradients of 16 queries
constexpr int64_t kMostSums = 1 << 20;              // bytes: gradients of keys and values of one head

// The axes of a contraction's result that one operand alone has, for a contraction that keeps the batch of both, sums
// one label and has one such axis on either side. Axes of extent 1 do not count.
struct Sides {
  size_t a = 0, b = 0;
  char summed = 0;
};

std::optional<Sides> sides_of(const Graph& graph, ValueId id) {
  const Op& op = graph.ops[id];
  if (op.code != OpCode::contract || !op.per_sample || op.type.dtype != DType::f32) return std::nullopt;
  if (!graph.ops[op.in[0]].per_sample || !graph.ops[op.in[1]].per_sample) return std::nullopt;
  ContractLabels labels = parse_labels(op.attr.labels);
  Sides s;
  int a = 0, b = 0, summed = 0;
  for (size_t i = 0; i < labels.out.size(); ++i) {
    bool in_a = labels.a.find(labels.out[i]) != std::string::npos, in_b = labels.b.find(labels.out[i]) != std::string::npos;
    if (op.type.shape[i] == 1 && i > 0) continue;
    if (in_a && !in_b) s.a = i, ++a;
    if (in_b && !in_a) s.b = i, ++b;
  }
  for (size_t i = 0; i < labels.a.size(); ++i)
    if (labels.out.find(labels.a[i]) == std::string::npos && graph.type(op.in[0]).shape[i] > 1) s.summed = labels.a[i], ++summed;
  return a == 1 && b == 1 && summed == 1 ? std::optional(s) : std::nullopt;
}

int64_t label_extent(const Graph& graph, const Op& op, char label) {
  ContractLabels labels = parse_labels(op.attr.labels);
  size_t a = labels.a.find(label);
  return a != std::string::npos ? graph.type(op.in[0]).shape[a] : graph.type(op.in[1]).shape[labels.b.find(label)];
}

Shape squeezed(Shape shape) {
  shape.erase(std::remove(shape.begin(), shape.end(), 1), shape.end());
  return shape;
}

class Finder {
public:
  Finder(const Graph& graph, const Target& target)
      : graph_(graph), target_(target), users_(graph.users()), tokens_(tokens_in_lanes(graph)), stored_(graph.ops.size(), false) {
    for (const Store& s : graph.stores) stored_[s.value] = true;
  }

  std::vector<Attention> run(std::vector<Refusal>* refusals) {
    std::vector<Attention> found;
    for (ValueId id = 0; id < graph_.ops.size(); ++id) {
      if (claimed_.count(id) || !sides_of(graph_, id)) continue;
      Attention a;
      reason_.clear();
      grow(id, a);
      if (a.takers.empty() || !reduces_) continue;
      if (reason_.empty()) check(a);
      if (reason_.empty()) waves(a);
      claimed_.insert(a.scores.begin(), a.scores.end());
      if (reason_.empty()) found.push_back(std::move(a));
      else if (refusals) refusals->push_back({a.anchor, where_, "F16", reason_});
    }
    return found;
  }

private:
  void refuse(ValueId where, const char* reason) {
    if (reason_.empty()) where_ = where, reason_ = reason;
  }

  // Readers behind broadcasts and other index maps; `maps` tells whether there were any.
  void each_reader(ValueId v, bool maps, const std::function<void(ValueId, bool)>& visit) const {
    for (ValueId u : users_[v]) {
      if (is_inline(graph_.ops[u].code)) each_reader(u, true, visit);
      else visit(u, maps);
    }
  }

  // Everything of the scores' shape that hangs together with `seed`, the reductions and the contractions that read it.
  void grow(ValueId seed, Attention& a) {
    a.anchor = seed;
    const Shape& shape = graph_.type(seed).shape;
    Sides sides = *sides_of(graph_, seed);
    std::optional<size_t> key;
    reduces_ = false;
    std::vector<ValueId> queue{seed};
    auto add = [&](ValueId v) {
      if (a.scores.insert(v).second) queue.push_back(v);
    };
    add(seed);
    while (!queue.empty()) {
      ValueId v = queue.back();
      queue.pop_back();
      a.anchor = std::min(a.anchor, graph_.ops[v].code == OpCode::contract ? v : a.anchor);
      if (stored_[v]) refuse(v, "the scores are a result of the step");
      each_reader(v, false, [&](ValueId u, bool maps) {
        const Op& op = graph_.ops[u];
        if (maps) return refuse(u, "the scores are read through an index map");
        if (is_elementwise(op.code) && op.type.shape == shape) return add(u);
        if (op.code == OpCode::contract) return void(a.takers.insert(u));
        if (!is_sum(op.code)) return refuse(u, "the scores are read elsewhere");
        reduces_ = true;
        size_t axis = op.attr.dims.size() == 1 ? static_cast<size_t>(op.attr.dims[0]) : shape.size();
        if (axis != sides.a && axis != sides.b) return refuse(u, "a reduction runs along another axis than queries or keys");
        if (key && *key != axis) return refuse(u, "reductions run along queries and keys");
        key = axis;
        a.rows.insert(u);
      });
      if (graph_.ops[v].code == OpCode::contract) continue;
      for (ValueId in : graph_.ops[v].in) {
        const Op& op = graph_.ops[in];
        if (op.type.shape == shape && op.per_sample && (is_elementwise(op.code) || sides_of(graph_, in))) add(in);
        else add_shared(in, a, v);
      }
    }
    if (key) a.key = *key, a.query = *key == sides.a ? sides.b : sides.a;
  }

  static bool is_sum(OpCode c) {
    return c == OpCode::reduce_sum || c == OpCode::reduce_max || c == OpCode::reduce_min || c == OpCode::reduce_prod;
  }

  // Masks are made where they are read; what else comes from outside is read from memory.
  void add_shared(ValueId operand, Attention& a, ValueId reader) {
    Source s{operand, true};
    while (is_inline(graph_.ops[s.value].code) && !graph_.ops[s.value].in.empty()) {
      const Op& op = graph_.ops[s.value];
      s.plain &= op.code == OpCode::broadcast || op.code == OpCode::transpose || is_unit_reshape(graph_, op);
      s.value = op.in[0];
    }
    const Op& op = graph_.ops[s.value];
    if (op.in.empty()) return;
    if (!s.plain) return refuse(reader, "an operand beside the scores is read through a reshape or slice");
    if (op.per_sample || !is_elementwise(op.code) || is_expensive(op.code)) return;
    SourceList sources = sources_of(graph_, s.value);
    if (std::all_of(sources.begin(), sources.end(), [&](const Source& in) {
          return in.plain && (graph_.ops[in.value].code == OpCode::iota || graph_.ops[in.value].code == OpCode::constant);
        }))
      a.shared.insert(s.value);
  }

  void check(Attention& a) {
    const Shape& shape = graph_.type(a.anchor).shape;
    auto wide = [&](const Op& op, char label) { return label_extent(graph_, op, label) > kMostFeatures; };
    for (ValueId v : a.scores) {
      const Op& op = graph_.ops[v];
      if (op.code == OpCode::contract && wide(op, sides_of(graph_, v)->summed)) return refuse(v, "a head has more than 256 features");
    }
    for (ValueId t : a.takers) check_taker(a, t);
    if (!reason_.empty()) return;
    int64_t bytes = graph_.type(a.anchor).elements() * 4, row = kRowsInScratch * shape[a.key] * kLanes * 4;
    if (!tokens_) return refuse(a.anchor, "samples lie in lanes, not tokens");
    if (bytes <= target_.l2) return refuse(a.anchor, "the scores stay in the second-level cache");
    if (row > target_.l2 / 2) return refuse(a.anchor, "a row of scores does not fit the cache");
    grow_rows(a);
    std::vector<ValueId> all;
    for (const auto* set : {&a.scores, &a.rows, &a.shared, &a.takers}) all.insert(all.end(), set->begin(), set->end());
    std::sort(all.begin(), all.end());
    AxisClasses axes = classify_axes(graph_, all);
    std::vector<int> classes = axes.result.at(a.anchor);
    for (ValueId v : a.scores)
      if (axes.result.at(v) != classes) return refuse(v, "the scores are read in two orders of their axes");
    std::set<int> own(classes.begin(), classes.end()), by_query;
    if (own.size() != classes.size()) return refuse(a.anchor, "the scores are read in two orders of their axes");
    for (size_t i = 0; i < classes.size(); ++i)
      if (i != a.key && !axes.unit(classes[i])) by_query.insert(classes[i]);
    for (ValueId v : a.rows)
      if (axes.kept(v) != by_query) return refuse(v, "a value of each query has other axes");
  }

  // A contraction that sums the scores' keys or queries with one axis of features of the other operand.
  void check_taker(const Attention& a, ValueId t) {
    const Op& op = graph_.ops[t];
    ContractLabels labels = parse_labels(op.attr.labels);
    bool first = a.scores.count(op.in[0]) > 0;
    if (first && a.scores.count(op.in[1])) return refuse(t, "a contraction takes the scores twice");
    const std::string &text = first ? labels.a : labels.b, &other = first ? labels.b : labels.a;
    auto kept = [&](char l) { return labels.out.find(l) != std::string::npos; };
    auto beside = [&](char l) { return other.find(l) != std::string::npos; };
    char key = text[a.key], query = text[a.query];
    bool good = kept(key) != kept(query) && beside(kept(key) ? query : key) && !beside(kept(key) ? key : query);
    for (size_t i = 0; i < text.size(); ++i)
      if (i != a.key && i != a.query && (i == 0 || label_extent(graph_, op, text[i]) > 1)) good &= kept(text[i]) && beside(text[i]);
    auto own = [&](char l) { return text.find(l) == std::string::npos && label_extent(graph_, op, l) > 1; };
    good &= std::count_if(other.begin(), other.end(), own) == 1 && op.type.dtype == DType::f32;
    if (!good) return refuse(t, "a contraction takes the scores in another way");
    for (char l : other)
      if (own(l)) {
        if (label_extent(graph_, op, l) > kMostFeatures) return refuse(t, "a head has more than 256 features");
        if (kept(key) && label_extent(graph_, op, l) * label_extent(graph_, op, key) * 8 > kMostSums)
          return refuse(t, "gradients of a head's keys do not fit the cache");
      }
  }

  // Elementwise ops on one number a query, where they lead back to the scores.
  void grow_rows(Attention& a) {
    if (a.rows.empty()) return;
    Shape shape = squeezed(graph_.type(*a.rows.begin()).shape);
    std::vector<ValueId> queue(a.rows.begin(), a.rows.end());
    std::set<ValueId> grown;
    while (!queue.empty()) {
      ValueId v = queue.back();
      queue.pop_back();
      each_reader(v, false, [&](ValueId u, bool) {
        const Op& op = graph_.ops[u];
        if (!is_elementwise(op.code) || !op.per_sample || a.scores.count(u) || squeezed(op.type.shape) != shape || stored_[u]) return;
        for (const Source& s : sources_of(graph_, u))
          if (!s.plain) return;
        if (grown.insert(u).second) queue.push_back(u);
      });
    }
    for (auto it = grown.rbegin(); it != grown.rend(); ++it) {
      bool leads = false;
      each_reader(*it, false, [&](ValueId u, bool) { leads |= a.scores.count(u) || a.rows.count(u); });
      if (leads) a.rows.insert(*it);
    }
  }

  // Numbers the waves and finds which of them need each op. Refuses where an op outside lies between two of one wave.
  void waves(Attention& a) {
    ValueId last = a.anchor;
    auto member = [&](ValueId v) { return a.scores.count(v) || a.rows.count(v) || a.takers.count(v); };
    for (const auto* set : {&a.scores, &a.rows, &a.takers})
      if (!set->empty()) last = std::max(last, *set->rbegin());
    // The wave of what an op waits for, and of the latest member (plus one) that it depends on.
    ValueId first = std::min(a.anchor, *a.scores.begin());
    std::vector<int> wave(last + 1 - first, 0), taint(last + 1 - first, 0);
    auto at = [&](std::vector<int>& of, ValueId v) { return v < first ? 0 : of[v - first]; };
    for (ValueId v = first; v <= last; ++v) {
      int w = 0, t = 0;
      for (ValueId in : graph_.ops[v].in) w = std::max(w, at(wave, in)), t = std::max(t, at(taint, in));
      if (member(v)) {
        for (const Source& s : sources_of(graph_, v))
          if (!member(s.value) && at(taint, s.value) > w) return refuse(v, "a value between them comes from outside");
        t = w + 1;
      }
      taint[v - first] = t;
      wave[v - first] = w + (a.takers.count(v) ? 1 : 0);
    }
    std::function<void(ValueId, int)> need = [&](ValueId v, int w) {
      std::set<int>& waves = a.waves[v];
      if (waves.count(w) || (a.rows.count(v) && !waves.empty())) return;   // rows of an earlier wave are read from memory
      waves.insert(w);
      for (const Source& s : sources_of(graph_, v))
        if (a.scores.count(s.value) || a.rows.count(s.value) || a.shared.count(s.value)) need(s.value, w);
    };
    std::vector<std::pair<int, ValueId>> roots;
    for (ValueId t : a.takers) roots.push_back({wave[t - first] - 1, t});
    for (ValueId r : a.rows)
      if (is_sum(graph_.ops[r].code)) roots.push_back({wave[r - first], r});
    std::sort(roots.begin(), roots.end());
    for (auto [w, v] : roots) need(v, w);
    // A wave without a reduction is no attention that is found again.
    for (auto [w, v] : roots)
      if (std::none_of(roots.begin(), roots.end(), [&, w = w](const auto& r) { return r.first == w && is_sum(graph_.ops[r.second].code); }))
        return refuse(v, "the gradient takes the scores without a reduction");
  }

  const Graph& graph_;
  const Target& target_;
  Users users_;
  bool tokens_;                      // lie in lanes
  std::vector<bool> stored_;
  std::set<ValueId> claimed_;
  bool reduces_ = false;
  ValueId where_ = kNoValue;
  std::string reason_;
};

}  // namespace

std::vector<Attention> find_attention(const Graph& graph, const Target& target, std::vector<Refusal>* refusals) {
  return Finder(graph, target).run(refusals);
}

std::vector<Group> attention_groups(const Graph& graph, const Target& target, std::vector<Refusal>& refusals) {
  Users users = graph.users();
  std::vector<Group> groups;
  for (const Attention& a : find_attention(graph, target, &refusals)) {
    std::map<int, Group> by_wave;
    bool again = false;
    for (const auto& [v, waves] : a.waves) {
      if (a.shared.count(v)) continue;
      again |= waves.size() > 1;
      by_wave[*waves.begin()].body.push_back(v);
    }
    if (again) {
      refusals.push_back({a.anchor, *a.takers.rbegin(), "F16", "the gradient reads the scores"});
      continue;
    }
    for (auto& [wave, group] : by_wave) {
      group.form = Form::attention;
      std::set<ValueId> inside(group.body.begin(), group.body.end());
      std::function<bool(ValueId)> stays = [&](ValueId v) {
        return std::all_of(users[v].begin(), users[v].end(),
                           [&](ValueId u) { return is_inline(graph.ops[u].code) ? stays(u) : inside.count(u) > 0; });
      };
      for (ValueId v : a.shared)
        if (a.waves.count(v) && a.waves.at(v).count(wave) && stays(v)) group.body.push_back(v);
      std::sort(group.body.begin(), group.body.end());
      for (ValueId v : group.body)
        if (group.anchor == kNoValue && a.scores.count(v) && graph.ops[v].code == OpCode::contract) group.anchor = v;
      ensure(group.anchor != kNoValue, "attention: a wave makes no scores");
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

void split_attention(Graph& graph, const Target& target) {
  std::vector<Attention> found = find_attention(graph, target, nullptr);
  if (found.empty()) return;
  struct Place {
    size_t attention;
    int wave;          // the first that needs it
  };
  std::map<ValueId, Place> place;
  for (size_t i = 0; i < found.size(); ++i)
    for (const auto& [v, waves] : found[i].waves)
      if (!found[i].shared.count(v)) place[v] = {i, *waves.begin()};
  std::vector<Op> old = std::move(graph.ops);
  graph.ops.clear();
  std::vector<ValueId> moved(old.size(), kNoValue);
  std::map<std::tuple<size_t, int, ValueId>, ValueId> again;
  // The value as a later wave of an attention reads it: scores and masks are made once more, all else is as it was.
  std::function<ValueId(ValueId, size_t, int, StepPart)> in_wave = [&](ValueId v, size_t i, int wave, StepPart part) -> ValueId {
    const Attention& a = found[i];
    auto it = place.find(v);
    bool score = it != place.end() && it->second.attention == i && a.scores.count(v) && it->second.wave < wave;
    bool passes = score || a.shared.count(v) || (is_inline(old[v].code) && !old[v].in.empty());
    if (!passes) return moved[v];
    std::tuple key{i, wave, v};
    if (auto known = again.find(key); known != again.end()) return known->second;
    Op op = old[v];
    bool changed = score || a.shared.count(v);
    for (ValueId& in : op.in) {
      ValueId before = moved[in];
      in = in_wave(in, i, wave, part);
      changed |= in != before;
    }
    if (!changed) return again[key] = moved[v];
    op.part = part;
    graph.ops.push_back(std::move(op));
    return again[key] = static_cast<ValueId>(graph.ops.size() - 1);
  };
  for (ValueId v = 0; v < old.size(); ++v) {
    Op op = old[v];
    auto it = place.find(v);
    for (ValueId& in : op.in) in = it == place.end() ? moved[in] : in_wave(in, it->second.attention, it->second.wave, op.part);
    graph.ops.push_back(std::move(op));
    moved[v] = static_cast<ValueId>(graph.ops.size() - 1);
  }
  for (Store& s : graph.stores) s.value = moved[s.value];
  drop_dead_ops(graph);
}

}  // namespace mlc
