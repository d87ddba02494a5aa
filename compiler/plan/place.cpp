// Places in the arena: buffers that live at one time take different bytes. The sum of live buffers is a lower bound that one
// greedy order nearly always meets; where none does, the orders that came nearest are changed until it does.
#include "compiler/plan/plan.h"

#include <algorithm>
#include <numeric>

namespace mlc {
namespace {

using Order = std::vector<size_t>;

constexpr int64_t kWork = 20'000'000;   // pairs of buffers looked at for the sake of a better order
constexpr int64_t kMostTries = 300;

/// Buffers one after another, each at the lowest gap that is large enough and free over its whole lifetime (or, with
/// `tight`, the smallest one), else behind what is there. Returns the arena's bytes.
int64_t place_in_order(std::vector<Buffer>& buffers, const Order& order, bool tight) {
  int64_t arena = 0;
  std::vector<std::pair<int64_t, int64_t>> busy;
  for (size_t n = 0; n < order.size(); ++n) {
    Buffer& b = buffers[order[n]];
    busy.clear();
    for (size_t j = 0; j < n; ++j)
      if (const Buffer& o = buffers[order[j]]; o.first <= b.last && b.first <= o.last) busy.push_back({o.offset, o.offset + o.bytes});
    std::sort(busy.begin(), busy.end());
    int64_t at = 0, best = -1, best_gap = 0;
    for (auto [begin, end] : busy) {
      int64_t gap = begin - at;
      if (gap >= b.bytes && (best < 0 || gap < best_gap)) best = at, best_gap = gap;
      if (best >= 0 && !tight) break;
      at = std::max(at, end);
    }
    b.offset = best >= 0 ? best : at;
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
  for (const Buffer& b : buffers) changes.push_back({b.first, b.bytes}), changes.push_back({b.last + 1, -b.bytes});
  std::sort(changes.begin(), changes.end());      // what ended goes first
  int64_t live = 0, most = 0;
  for (auto [segment, bytes] : changes) most = std::max(most, live += bytes);
  return most;
}

int64_t place_buffers(std::vector<Buffer>& buffers) {
  int64_t bound = live_bytes(buffers);
  auto length = [](const Buffer& b) { return static_cast<int64_t>(b.last - b.first + 1); };
  Order best_order;
  int64_t best = -1;
  bool best_tight = false;
  auto attempt = [&](Order order) {
    for (bool tight : {true, false})
      if (int64_t arena = place_in_order(buffers, order, tight); best < 0 || arena < best) best = arena, best_tight = tight, best_order = order;
  };
  attempt(sorted_by(buffers, [](const Buffer& b) { return b.bytes; }));
  if (best > bound) attempt(sorted_by(buffers, [&](const Buffer& b) { return b.bytes * length(b); }));
  if (best > bound) attempt(sorted_by(buffers, length));
  int64_t arena = place_in_order(buffers, best_order, best_tight);
  if (arena == bound) return arena;

  // By place, lowest first, the lowest gap gives the same places or lower ones. The buffer that ends the arena goes
  // somewhere before its turn, time and again; a change stays unless the arena grows.
  Order order = best_order;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return buffers[a].offset < buffers[b].offset; });
  arena = place_in_order(buffers, order, false);
  auto pairs = static_cast<int64_t>(buffers.size() * buffers.size()) + 1;
  uint64_t random = 1;
  for (int64_t tries = std::min(kMostTries, kWork / pairs); arena > bound && tries > 0; --tries) {
    auto end = [&](size_t i) { return buffers[i].offset + buffers[i].bytes; };
    auto top = std::max_element(order.begin(), order.end(), [&](size_t a, size_t b) { return end(a) < end(b); });
    random = random * 6364136223846793005u + 1442695040888963407u;
    auto to = order.begin() + static_cast<std::ptrdiff_t>((random >> 33) % static_cast<uint64_t>(top - order.begin() + 1));
    Order changed = order;
    auto moved = changed.begin() + (top - order.begin());
    std::rotate(changed.begin() + (to - order.begin()), moved, moved + 1);
    int64_t size = place_in_order(buffers, changed, false);
    if (size <= arena) arena = size, order = std::move(changed);
    else place_in_order(buffers, order, false);
  }
  return place_in_order(buffers, order, false);
}

}  // namespace mlc
