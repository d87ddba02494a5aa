// The memory plan: near the least that any placement takes, over random graphs and random lifetimes.
#include "compiler/compile.h"
#include "compiler/plan/axes.h"
#include "tests/unit/compile/random_graph.h"

#include <gtest/gtest.h>

namespace mlc {
namespace {

// The greatest sum of values that are needed at one time, from the order of kernels alone: a value lives from the segment
// that writes it to the last that reads it; what is written over an operand takes no bytes of its own.
int64_t least_bytes(const Compiled& c) {
  std::vector<int> segment(c.grouping.groups.size());
  int last = 0;
  for (const Step& s : c.plan.steps) segment[static_cast<size_t>(s.group)] = last = s.segment;
  std::map<ValueId, std::pair<int, int>> life;
  auto root = [&](ValueId v) {
    while (c.plan.in_place.count(v)) v = c.plan.in_place.at(v);
    return v;
  };
  auto alive = [&](ValueId v, int s) {
    auto [it, fresh] = life.insert({root(v), {s, s}});
    it->second = {std::min(it->second.first, s), std::max(it->second.second, s)};
  };
  for (const auto& [v, buffer] : c.plan.buffer_of) alive(v, segment[static_cast<size_t>(c.graph.ops[v].group)]);
  for (size_t g = 0; g < c.grouping.groups.size(); ++g)
    for (ValueId v : c.grouping.groups[g].body)
      for (const Source& s : sources_of(c.graph, v))
        if (c.plan.buffer_of.count(s.value)) alive(s.value, segment[g]);
  int64_t most = 0;
  for (int s = 0; s <= last; ++s) {
    int64_t live = 0;
    for (const auto& [v, span] : life)
      if (span.first <= s && s <= span.second) live += (storage_elements(c.graph.type(v), c.graph.ops[v].layout) * dtype_bytes(c.graph.type(v).dtype) + 63) / 64 * 64;
    most = std::max(most, live);
  }
  return most;
}

TEST(MemoryPlan, IsNearTheLowerBoundOverRandomGraphs) {
  CompileOptions options;
  options.verify = true;   // the independent checker, too
  for (unsigned seed = 1, last = static_cast<unsigned>(environment("MLC_RANDOM_GRAPHS", 100)); seed <= last; ++seed) {
    Compiled c = compile(RandomGraph(seed, false).make(10 + static_cast<int>(seed % 30)), options);
    int64_t least = least_bytes(c);
    EXPECT_LE(c.plan.live_bytes, c.plan.arena_bytes);
    EXPECT_LE(static_cast<double>(c.plan.arena_bytes), 1.05 * static_cast<double>(least)) << "seed " << seed << ", at least " << least << ":\n" << print_plan(c.graph, c.grouping, c.plan);
  }
}

// Sizes and lifetimes without a pattern are harder than those of programs: the bound itself may be out of reach.
TEST(MemoryPlan, PlacesRandomLifetimes) {
  std::mt19937 random(1);
  auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  double excess = 0;
  constexpr int kSets = 80;
  for (int set = 0; set < kSets; ++set) {
    std::vector<Buffer> buffers(static_cast<size_t>(3 + below(80)));
    int segments = 2 + below(40);
    for (Buffer& b : buffers)
      for (int slices = set % 2 == 0 || below(10) ? 1 : 4; slices > 0; --slices) {
        int64_t bytes = 64 * (1 + below(below(3) ? 16 : 2000));
        int first = below(segments);
        b.slices.push_back({0, b.bytes, bytes, first, std::min(segments - 1, first + below(below(3) ? 3 : segments))});
        b.bytes += bytes;
      }
    int64_t arena = place_buffers(buffers), bound = live_bytes(buffers);
    if (set % 2 == 0) excess += static_cast<double>(arena - bound) / static_cast<double>(bound);   // of single slices
    for (size_t i = 0; i < buffers.size(); ++i) {
      const Buffer& a = buffers[i];
      EXPECT_TRUE(a.offset >= 0 && a.offset + a.bytes <= arena);
      for (size_t j = 0; j < i; ++j)
        for (const Buffer::Slice& s : a.slices)
          for (const Buffer::Slice& o : buffers[j].slices) {
            int64_t here = a.offset + s.offset, there = buffers[j].offset + o.offset;
            bool time = s.first <= o.last && o.first <= s.last, space = here < there + o.bytes && there < here + s.bytes;
            EXPECT_FALSE(time && space) << "set " << set << ", buffers " << i << " and " << j;
          }
    }
  }
  EXPECT_LT(excess / (kSets / 2), 0.01);
}

}  // namespace
}  // namespace mlc
