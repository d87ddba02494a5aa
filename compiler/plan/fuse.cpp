// Grouping by the rules of docs/fusion.md: contractions and windows take an elementwise chain behind them (F6); reductions, the
// elementwise ops before and after them and their siblings share one loop over rows (F1, F3, F4, F5); the optimizer is
// one pass over all parameters (F12). Producers are visited before consumers; each op joins the first group that may
// take it, and every refusal is kept.
#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "compiler/graph/window.h"
#include "compiler/plan/attention.h"
#include "compiler/plan/axes.h"
#include "compiler/plan/contraction.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/updates.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>

namespace mlc {
namespace {

constexpr int64_t kLeastRows = 112, kSerialWork = 150000;   // eight tiles of rows; multiply-adds that one thread does alone
constexpr size_t kMostOps = 64, kMostReductions = 8, kMostStreams = 24, kMostSideOps = 8;

/// The ops of a group, sorted.
class Members {
public:
  explicit Members(const std::vector<ValueId>& body) : body_(body) {}
  bool count(ValueId v) const { return std::binary_search(body_.begin(), body_.end(), v); }
  auto begin() const { return body_.begin(); }
  auto end() const { return body_.end(); }

private:
  const std::vector<ValueId>& body_;
};

struct Reason {
  const char* rule;
  std::string text;
};

class Fuser {
public:
  Fuser(Graph& graph, const Target& target) : graph_(graph), target_(target), users_(graph.users()), stored_(graph.ops.size(), false) {
    for (const Store& s : graph.stores) stored_[s.value] = true;
    out_.state = find_state_use(graph);
    for (Op& op : graph_.ops) op.group = -1;
  }

  Grouping run(const FuseOptions& options) {
    bool enabled = options.enabled;
    auto take = [&](std::vector<Group> found) {
      for (Group& g : found) {
        for (ValueId v : g.body) graph_.ops[v].group = static_cast<int>(groups_.size());
        groups_.push_back(std::move(g));
      }
    };
    if (enabled) take(find_updates(graph_, options.state, out_.refusals));
    resident_ = reads_new_state();
    if (enabled && options.attention) take(attention_groups(graph_, target_, out_.refusals));
    for (const Refusal& r : out_.refusals) refused_.insert({r.producer, r.consumer});
    for (ValueId id = 0; id < graph_.ops.size(); ++id) {
      const Op& op = graph_.ops[id];
      if (is_inline(op.code) || op.group >= 0) continue;
      if (enabled && !is_special(op.code) && op.code != OpCode::contract && !is_window(op.code) && join(id)) continue;
      Group g;
      g.form = op.code == OpCode::contract ? Form::contract
               : is_window(op.code)        ? Form::window
               : is_special(op.code)       ? Form::special
                                           : Form::rows;
      g.anchor = id;
      g.body = {id};
      graph_.ops[id].group = static_cast<int>(groups_.size());
      groups_.push_back(std::move(g));
    }
    finish();
    return std::move(out_);
  }

private:
  // True when a new value of state is read by another group than the one that makes it, or what is copied to state is.
  bool reads_new_state() const {
    auto read_elsewhere = [&](ValueId value, int own) {
      return own < 0 || std::any_of(users_[value].begin(), users_[value].end(), [&](ValueId u) { return graph_.ops[u].group != own; });
    };
    for (const auto& [value, tensor] : out_.state.resident)
      if (read_elsewhere(value, graph_.ops[value].group)) return true;
    for (const auto& [value, readers] : out_.state.old_readers)
      if (const Op& op = graph_.ops[value]; op.code == OpCode::copy && users_[op.in[0]].size() > 1 && read_elsewhere(op.in[0], op.group))
        return true;
    return false;
  }

  // True when the body overwrites a state tensor and reads its old value for something else than the new one: nothing
  // orders the two within a group.
  bool reads_overwritten(const Members& inside) const {
    for (ValueId id : inside) {
      auto readers = out_.state.old_readers.find(id);
      if (readers == out_.state.old_readers.end()) continue;
      std::set<ValueId> behind{id};
      for (auto it = std::make_reverse_iterator(std::upper_bound(inside.begin(), inside.end(), id));
           it != std::make_reverse_iterator(inside.begin()); ++it)
        if (behind.count(*it))
          for (const Source& s : sources_of(graph_, *it)) behind.insert(s.value);
      for (ValueId r : readers->second)
        if (inside.count(r) && !behind.count(r)) return true;
    }
    return false;
  }

  static bool has_epilogue(const Group& group) { return group.form == Form::contract || group.form == Form::window; }

  // Groups of the op's producers, contractions and windows first, then the nearest.
  std::vector<int> producer_groups(ValueId id) const {
    std::vector<int> found;
    for (const Source& s : sources_of(graph_, id)) {
      int g = graph_.ops[s.value].group;
      if (g >= 0 && g != graph_.ops[id].group && !std::count(found.begin(), found.end(), g)) found.push_back(g);
    }
    std::sort(found.begin(), found.end(), [&](int a, int b) {
      bool ca = has_epilogue(groups_[static_cast<size_t>(a)]), cb = has_epilogue(groups_[static_cast<size_t>(b)]);
      return ca != cb ? ca : a > b;
    });
    return found;
  }

  bool join(ValueId id) {
    for (int g : producer_groups(id)) {
      Group& group = groups_[static_cast<size_t>(g)];
      std::vector<ValueId> body = group.body;
      body.push_back(id);
      std::optional<Reason> no = check(group.form, group.anchor, body);
      if (no) {
        refuse(g, id, *no);
        continue;
      }
      group.body = std::move(body);
      graph_.ops[id].group = g;
      absorb(id);
      return true;
    }
    return false;
  }

  // Merges the groups of the op's other producers into its own.
  void absorb(ValueId id) {
    int own = graph_.ops[id].group;
    for (int g : producer_groups(id)) {
      Group &from = groups_[static_cast<size_t>(g)], &to = groups_[static_cast<size_t>(own)];
      if (from.form != Form::rows) continue;
      // Into an epilogue, only what costs no pass over memory of its own: masks, decays, chains on inputs.
      if (has_epilogue(to) && from.body.size() > kMostSideOps) {
        refuse(g, id, {"F6", "more than 8 ops on other values"});
        continue;
      }
      std::vector<ValueId> body = to.body;
      body.insert(body.end(), from.body.begin(), from.body.end());
      std::sort(body.begin(), body.end());
      if (std::optional<Reason> no = check(to.form, to.anchor, body)) {
        refuse(g, id, *no);
        continue;
      }
      for (ValueId v : from.body) graph_.ops[v].group = own;
      from.body.clear();
      to.body = std::move(body);
      if (to.form == Form::rows) to.anchor = to.body.front();
    }
  }

  void refuse(int group, ValueId consumer, const Reason& reason) {
    ValueId producer = groups_[static_cast<size_t>(group)].body.back();
    for (const Source& s : sources_of(graph_, consumer))
      if (graph_.ops[s.value].group == group) producer = s.value;
    // The same pair is tried again when more has been merged: one entry tells it.
    if (!refused_.insert({producer, consumer}).second) return;
    out_.refusals.push_back({producer, consumer, reason.rule, reason.text});
  }

  std::optional<Reason> check(Form form, ValueId anchor, const std::vector<ValueId>& body) {
    if (form == Form::update || form == Form::attention || form == Form::special)
      return Reason{"kind", "the producer has a loop of its own kind"};
    if (body.size() > kMostOps) return Reason{"size", "more than 64 ops in one group"};
    Members inside(body);
    std::set<ValueId> streams;
    for (ValueId id : body) {
      for (const Source& s : sources_of(graph_, id)) {
        if (!inside.count(s.value)) {
          if (!graph_.ops[s.value].type.shape.empty()) streams.insert(s.value);
          continue;
        }
        if (!s.plain) return Reason{"F2", "the index map between them is a reshape or slice"};
        if (graph_.ops[id].code == OpCode::take && s.value == sources_of(graph_, id)[0].value)
          return Reason{"F15", "a table is gathered from memory"};
        if (graph_.ops[id].code == OpCode::resample && s.value == sources_of(graph_, id)[0].value)
          return Reason{"F15", "an image is gathered from memory"};
      }
    }
    if (streams.size() > kMostStreams) return Reason{"streams", "more than 24 values are read at once"};
    if (reads_overwritten(inside)) return Reason{"cycle", "an old value would be read after it is overwritten"};
    if (depends(body)) return Reason{"cycle", "a value between them comes from outside the group"};
    AxisClasses axes = classify_axes(graph_, body);
    for (ValueId id : body)
      if (meets_itself(axes, id)) return Reason{"F2", "a value is read in two orders of its axes"};
    return form == Form::rows ? check_rows(body, inside, axes) : check_epilogue(anchor, body, axes);
  }

  // True when two axes of an op would be one loop: its operands reach one value through different transposes.
  static bool meets_itself(const AxisClasses& axes, ValueId id) {
    auto repeats = [&](const std::vector<int>& classes) {
      for (auto it = classes.begin(); it != classes.end(); ++it)
        if (!axes.unit(*it) && std::count(classes.begin(), it, *it)) return true;
      return false;
    };
    auto operands = axes.operands.find(id);
    return repeats(axes.result.at(id)) ||
           (operands != axes.operands.end() && std::any_of(operands->second.begin(), operands->second.end(), repeats));
  }

  // F6: everything behind the contraction or window has its shape, axis by axis.
  std::optional<Reason> check_epilogue(ValueId anchor, const std::vector<ValueId>& body, const AxisClasses& axes) {
    for (ValueId id : body) {
      if (id == anchor) continue;
      const Op& op = graph_.ops[id];
      bool window = is_window(graph_.ops[anchor].code);
      if (is_reducing(op.code)) {
        if (window) return Reason{"F7", "a reduction needs the whole result of the window"};
        if (std::optional<Reason> no = check_sum(anchor, id, axes)) return no;
        continue;
      }
      if (!is_elementwise(op.code))
        return Reason{"F6", window ? "only elementwise ops follow a window" : "only elementwise ops follow a contraction"};
      if (axes.result.at(id) != axes.result.at(anchor))
        return Reason{"F6", window ? "it has other axes than the window's result" : "it has other axes than the contraction"};
      if (op.layout != graph_.ops[anchor].layout) return Reason{"layout", "it lies in another layout"};
    }
    return std::nullopt;
  }

  // F7: a sum over all but the rows of the contraction's tiles, which then have all of their elements.
  std::optional<Reason> check_sum(ValueId anchor, ValueId id, const AxisClasses& axes) {
    const Op &op = graph_.ops[id], &product = graph_.ops[anchor];
    std::optional<ContractionRoles> roles = contraction_roles(graph_, anchor);
    if (!roles || op.code != OpCode::reduce_sum || op.type.dtype != DType::f32 || roles->k.size() != 1)
      return Reason{"F7", "a reduction needs the whole result of the contraction"};
    if (axes.operands.at(id)[0] != axes.result.at(anchor)) return Reason{"F7", "it sums a value with other axes than the contraction's"};
    size_t row = parse_labels(product.attr.labels).out.find(roles->row);
    if (roles->row == 0 || axes.result.at(id) != std::vector<int>{axes.result.at(anchor)[row]})
      return Reason{"F7", "the sum keeps other axes than the rows of a tile"};
    int64_t rows = product.type.shape[row],
            work = product.type.elements() * graph_.type(product.in[0]).shape[parse_labels(product.attr.labels).a.find(roles->k[0])];
    if (rows < kLeastRows && work > kSerialWork) return Reason{"F7", "too few rows to share among threads"};
    const Op& vectors = graph_.ops[product.in[static_cast<size_t>(roles->vector)]];
    if (!reads_far_columns(graph_, anchor, *roles) && storage_elements(vectors.type, vectors.layout) * 4 > target_.l2 / 2)
      return Reason{"F7", "the other operand would leave the cache between the rows of a sum"};
    return std::nullopt;
  }

  // AxisClasses::kept as a sorted list.
  static std::vector<int> kept_classes(const AxisClasses& axes, ValueId id) {
    std::vector<int> out;
    for (int c : axes.result.at(id))
      if (!axes.unit(c)) out.push_back(c);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  std::optional<Reason> check_rows(const std::vector<ValueId>& body, const Members& inside, const AxisClasses& axes) {
    std::vector<int> outer;                                     // sorted
    std::vector<char> kept_outside(axes.extent.size(), 0);
    bool first = true;
    size_t reductions = 0;
    for (ValueId id : body) {
      const Op& op = graph_.ops[id];
      if (!is_reducing(op.code)) continue;
      if (++reductions > kMostReductions) return Reason{"F5", "more than 8 reductions in one group"};
      std::vector<int> kept = kept_classes(axes, id);
      if (!first && kept != outer) return Reason{"F4", "the reductions keep different axes"};
      outer = std::move(kept);
      first = false;
    }
    if (first) {
      for (ValueId id : body) {
        std::vector<int> own = kept_classes(axes, id), both;
        if (own == outer) continue;
        std::set_union(own.begin(), own.end(), outer.begin(), outer.end(), std::back_inserter(both));
        outer = std::move(both);
      }
    }
    for (int c : outer) kept_outside[static_cast<size_t>(c)] = 1;

    std::set<int> blocked;
    int64_t row = 0;   // bytes of the widest value in the lanes of one row
    for (ValueId id : body) {
      const Op& op = graph_.ops[id];
      std::vector<int> walked = kept_classes(axes, id);
      bool all = std::includes(walked.begin(), walked.end(), outer.begin(), outer.end());
      if (!all && is_expensive(op.code)) return Reason{"F2", "an expensive value would be computed again for each element"};
      if (!all && written(id, inside)) return Reason{"F1", "a smaller value that others read would be written again and again"};
      if (op.layout.blocked >= 0) blocked.insert(axes.result.at(id)[static_cast<size_t>(op.layout.blocked)]);
      if (is_reducing(op.code)) walked.insert(walked.end(), axes.reduced.at(id).begin(), axes.reduced.at(id).end());
      int64_t bytes = kLanes * 4;
      for (int c : walked)
        if (!kept_outside[static_cast<size_t>(c)]) bytes *= axes.extent[static_cast<size_t>(c)];
      row = std::max(row, bytes);
    }
    if (blocked.size() > 1) return Reason{"layout", "they lie in different layouts"};
    if (reductions > 1 && row > target_.l2 / 2) return Reason{"F4", "a row does not fit the cache"};
    return std::nullopt;
  }

  bool written(ValueId id, const Members& inside) const {
    if (stored_[id]) return true;
    return reader_outside(id, inside);
  }
  bool reader_outside(ValueId id, const Members& inside) const {
    for (ValueId u : users_[id])
      if (is_inline(graph_.ops[u].code) ? reader_outside(u, inside) : !inside.count(u)) return true;
    return false;
  }

  // True when a value from outside that the body needs depends on a value inside: joining would close a cycle. Beside
  // what it reads, a new value of state that others read needs all readers of the old one to be done.
  bool depends(const std::vector<ValueId>& body) {
    Members inside(body);
    // Operands come first, readers of old values need not.
    ValueId lowest = resident_ ? 0 : body.front();
    std::set<int> seen_groups;
    std::vector<ValueId> queue;
    auto needs = [&](ValueId op, auto visit) {
      for (const Source& s : sources_of(graph_, op)) visit(s.value);
      if (auto it = out_.state.old_readers.find(op); resident_ && it != out_.state.old_readers.end())
        for (ValueId reader : it->second) visit(reader);
    };
    for (ValueId id : body)
      needs(id, [&](ValueId v) {
        if (!inside.count(v) && v > lowest) queue.push_back(v);
      });
    while (!queue.empty()) {
      ValueId v = queue.back();
      queue.pop_back();
      int g = graph_.ops[v].group;
      if (g < 0) continue;
      if (!seen_groups.insert(g).second) continue;
      bool closed = false;
      for (ValueId member : groups_[static_cast<size_t>(g)].body)
        needs(member, [&](ValueId w) {
          if (inside.count(w)) closed = true;
          else if (w > lowest) queue.push_back(w);
        });
      if (closed) return true;
    }
    return false;
  }

  // Drops emptied groups, orders them by data flow, and lists what they read and write.
  void finish() {
    std::vector<int> order;
    std::vector<char> mark(groups_.size(), 0);
    auto producers = [&](int g) {
      std::set<int> found;
      for (ValueId v : groups_[static_cast<size_t>(g)].body)
        for (const Source& s : sources_of(graph_, v))
          if (graph_.ops[s.value].group >= 0 && graph_.ops[s.value].group != g) found.insert(graph_.ops[s.value].group);
      return std::vector<int>(found.begin(), found.end());
    };
    for (int root = 0; root < static_cast<int>(groups_.size()); ++root) {
      if (mark[static_cast<size_t>(root)] || groups_[static_cast<size_t>(root)].body.empty()) continue;
      struct Frame {
        int group;
        std::vector<int> next;
        size_t at;
      };
      std::vector<Frame> frames{{root, producers(root), 0}};
      mark[static_cast<size_t>(root)] = 1;
      while (!frames.empty()) {
        Frame& f = frames.back();
        if (f.at == f.next.size()) {
          order.push_back(f.group);
          mark[static_cast<size_t>(f.group)] = 2;
          frames.pop_back();
          continue;
        }
        int n = f.next[f.at++];
        ensure(mark[static_cast<size_t>(n)] != 1, "fuse: groups form a cycle");
        if (mark[static_cast<size_t>(n)]) continue;
        mark[static_cast<size_t>(n)] = 1;
        frames.push_back({n, producers(n), 0});
      }
    }
    for (int g : order) {
      Group group = std::move(groups_[static_cast<size_t>(g)]);
      std::sort(group.body.begin(), group.body.end());
      Members inside(group.body);
      std::set<ValueId> reads;
      for (ValueId v : group.body) {
        graph_.ops[v].group = static_cast<int>(out_.groups.size());
        for (const Source& s : sources_of(graph_, v))
          if (!inside.count(s.value)) reads.insert(s.value);
        if (written(v, inside)) group.writes.push_back(v);
      }
      group.reads.assign(reads.begin(), reads.end());
      out_.groups.push_back(std::move(group));
    }
  }

  Graph& graph_;
  const Target& target_;
  Users users_;
  std::vector<bool> stored_;
  bool resident_ = false;   // the step reads new values of state
  std::vector<Group> groups_;
  std::set<std::pair<ValueId, ValueId>> refused_;
  Grouping out_;
};

}  // namespace

const char* form_name(Form form) {
  switch (form) {
  case Form::rows: return "rows";
  case Form::contract: return "contract";
  case Form::window: return "window";
  case Form::update: return "update";
  case Form::attention: return "attention";
  case Form::special: return "special";
  }
  return "";
}

Grouping fuse(Graph& graph, const Target& target, const FuseOptions& options) { return Fuser(graph, target).run(options); }

void verify(const Graph& graph, const Grouping& grouping) {
  std::vector<int> seen(graph.ops.size(), 0);
  for (size_t g = 0; g < grouping.groups.size(); ++g)
    for (ValueId v : grouping.groups[g].body) {
      ++seen[v];
      ensure(graph.ops[v].group == static_cast<int>(g), "fuse: an op does not know its group");
      for (const Source& s : sources_of(graph, v))
        ensure(graph.ops[s.value].group <= static_cast<int>(g), "fuse: a group reads a later one");
    }
  for (ValueId v = 0; v < graph.ops.size(); ++v)
    ensure(seen[v] == (is_inline(graph.ops[v].code) ? 0 : 1), "fuse: every op that computes is in one group");
}

bool of_layer(const Graph& graph, const Group& group, const std::string& layer) {
  return std::any_of(group.body.begin(), group.body.end(), [&](ValueId v) { return of_layer(graph, v, layer); });
}

std::string print_grouping(const Graph& graph, const Grouping& grouping, const std::string& layer) {
  auto name = [&](ValueId v) {
    const Op& op = graph.ops[v];
    const std::string& scope = graph.scopes[static_cast<size_t>(op.scope)].path;
    return "%" + std::to_string(v) + ":" + (scope.empty() ? "" : scope + ".") + std::string(op_info(op.code).name);
  };
  std::string out;
  for (size_t g = 0; g < grouping.groups.size(); ++g) {
    const Group& group = grouping.groups[g];
    if (!of_layer(graph, group, layer)) continue;
    std::vector<std::string> members, writes;
    for (ValueId v : group.body) members.push_back(name(v));
    for (ValueId v : group.writes)
      writes.push_back("%" + std::to_string(v) + " " + format_type(graph.type(v)) + " " +
                       print_layout(graph.ops[v].layout, graph.type(v).shape.size()));
    out += "group " + std::to_string(g) + " form=" + form_name(group.form) + " anchor=" + name(group.anchor);
    if (!group.members.empty()) out += " parameters=" + std::to_string(group.members.size());
    out += " members=[" + join(members, ", ") + "] writes=[" + join(writes, ", ") + "]\n";
  }
  for (const Refusal& r : grouping.refusals)
    if (of_layer(graph, r.producer, layer) || of_layer(graph, r.consumer, layer))
      out += "refused (" + name(r.producer) + ", " + name(r.consumer) + ") rule=" + r.rule + " reason=\"" + r.reason + "\"\n";
  return out;
}

}  // namespace mlc
