// Places in the arena: slices that live at one time take different bytes. The sum of live slices is a lower bound that one
// greedy order nearly always meets; where none does, the orders that came nearest are changed until it does.
#include "compiler/plan/plan.h"

#include <algorithm>
#include <numeric>

namespace mlc {
namespace {

using Order = std::vector<size_t>;

constexpr int64_t kWork = 20'000'000;   // pairs of slices looked at for the sake of a better order
constexpr int64_t kMostTries = 600;

/// A slice that has its place.
struct Placed {
  int64_t begin, end;
  int first, last;
};

/// Offsets strictly between these let two slices meet.
struct Interval {
  int64_t begin, end;
  bool operator<(const Interval& o) const { return begin < o.begin || (begin == o.begin && end < o.end); }
};

/// Where a buffer may lie: goes through forbidden intervals in order of their begin.
struct Gap {
  bool tight;   ///< where the least room is left, not the lowest place
  int64_t at = 0, best = -1, best_room = 0;

  /// False when the place is found.
  bool pass(int64_t begin, int64_t end) {
    int64_t room = begin - at;
    if (room >= 0 && (best < 0 || room < best_room)) best = at, best_room = room;
    if (best >= 0 && !tight) return false;
    at = std::max(at, end);
    return true;
  }
  int64_t offset() const { return best >= 0 ? best : at; }
};

bool meet(const Buffer::Slice& s, const Placed& p) { return p.first <= s.last && s.first <= p.last; }

/// All slices of a buffer on the same bytes, one from the end of the other, as results made in place have them.
bool one_place(const Buffer& b) {
  for (size_t i = 1; i < b.slices.size(); ++i) {
    const Buffer::Slice &s = b.slices[i], &before = b.slices[i - 1];
    if (s.offset != before.offset || s.bytes != before.bytes || s.first != before.last + 1) return false;
  }
  return true;
}

/// Buffers one after another, each at the lowest place where no slice meets one that lives with it (or, with `tight`, where
/// the least room is left before the next). Returns the arena's bytes.
int64_t place_in_order(std::vector<Buffer>& buffers, const Order& order, bool tight) {
  int64_t arena = 0;
  std::vector<Placed> placed;        // by begin
  std::vector<Interval> forbidden;
  for (size_t n : order) {
    Buffer& b = buffers[n];
    Gap gap{tight};
    if (one_place(b)) {
      // What is placed is in order already.
      Buffer::Slice whole = b.slices[0];
      whole.last = b.slices.back().last;
      for (const Placed& p : placed)
        if (meet(whole, p) && !gap.pass(p.begin - whole.offset - whole.bytes, p.end - whole.offset)) break;
    } else {
      forbidden.clear();
      for (const Placed& p : placed)
        for (const Buffer::Slice& s : b.slices)
          if (meet(s, p)) forbidden.push_back({p.begin - s.offset - s.bytes, p.end - s.offset});
      std::sort(forbidden.begin(), forbidden.end());
      for (auto [begin, end] : forbidden)
        if (!gap.pass(begin, end)) break;
    }
    b.offset = gap.offset();
    for (const Buffer::Slice& s : b.slices) {
      Placed p{b.offset + s.offset, b.offset + s.offset + s.bytes, s.first, s.last};
      placed.insert(std::upper_bound(placed.begin(), placed.end(), p, [](const Placed& x, const Placed& y) { return x.begin < y.begin; }),
                    p);
    }
    arena = std::max(arena, b.offset + b.bytes);
  }
  return arena;
}

template <class Key> Order sorted_by(const std::vector<Buffer>& buffers, Key key) {
  Order order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(buffers[a]) > key(buffers[b]); });
  return order;
}

}  // namespace

int64_t live_bytes(const std::vector<Buffer>& buffers) {
  std::vector<std::pair<int, int64_t>> changes;   // at a segment's start
  for (const Buffer& b : buffers)
    for (const Buffer::Slice& s : b.slices) changes.push_back({s.first, s.bytes}), changes.push_back({s.last + 1, -s.bytes});
  std::sort(changes.begin(), changes.end());      // what ended goes first
  int64_t live = 0, most = 0;
  for (auto [segment, bytes] : changes) most = std::max(most, live += bytes);
  return most;
}

int64_t place_buffers(std::vector<Buffer>& buffers) {
  int64_t bound = live_bytes(buffers), goal = bound + bound / 200;   // half a percent is not worth the search
  auto length = [](const Buffer& b) {
    int64_t most = 0;
    for (const Buffer::Slice& s : b.slices) most = std::max<int64_t>(most, s.last - s.first + 1);
    return most;
  };
  int64_t slices = 0;
  for (const Buffer& b : buffers) slices += static_cast<int64_t>(b.slices.size());
  int64_t tries = std::min(kMostTries, kWork / (slices * slices + 1));
  Order starts[] = {sorted_by(buffers, [](const Buffer& b) { return b.bytes; }),
                    sorted_by(buffers, [&](const Buffer& b) { return b.bytes * length(b); }), sorted_by(buffers, length)};
  Order best_order;
  int64_t best = -1;
  bool best_tight = false;
  auto attempt = [&](const Order& order, bool tight) {
    int64_t arena = place_in_order(buffers, order, tight);
    if (best < 0 || arena < best) best = arena, best_tight = tight, best_order = order;
    return arena;
  };
  for (const Order& order : starts)
    for (bool tight : {true, false})
      if (int64_t arena = attempt(order, tight); arena <= goal) return arena;
  // The buffer that ends the arena, and now and then any other, takes its turn somewhat earlier, time and again. A change stays unless the
  // arena grows by more than a slack, which shrinks to nothing: some placements take two changes, and the first alone is worse.
  uint64_t random = 1;
  for (Order& order : starts) {
    int64_t arena = place_in_order(buffers, order, false);
    auto slack = [&, start = arena - bound](int64_t i) { return start * (tries - i) / tries; };
    for (int64_t i = 0; i < tries; ++i) {
      auto end = [&](size_t b) { return buffers[b].offset + buffers[b].bytes; };
      auto draw = [&](std::ptrdiff_t n) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::ptrdiff_t>((random >> 33) % static_cast<uint64_t>(n));
      };
      auto n = static_cast<std::ptrdiff_t>(order.size());
      std::ptrdiff_t top =
          std::max_element(order.begin(), order.end(), [&](size_t a, size_t b) { return end(a) < end(b); }) - order.begin();
      std::ptrdiff_t from = i % 4 == 3 ? draw(n) : top, to = draw(from + 1);
      Order changed = order;
      std::rotate(changed.begin() + to, changed.begin() + from, changed.begin() + from + 1);
      int64_t size = attempt(changed, false);
      if (size <= goal) return size;
      if (size <= arena + slack(i)) arena = size, order = std::move(changed);
      else place_in_order(buffers, order, false);
    }
  }
  return place_in_order(buffers, best_order, best_tight);
}

}  // namespace mlc
