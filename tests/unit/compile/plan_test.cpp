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
      if (span.first <= s && s <= span.second)
        live += (storage_elements(c.graph.type(v), c.graph.ops[v].layout) * dtype_bytes(c.graph.type(v).dtype) + 63) / 64 * 64;
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
    EXPECT_LE(static_cast<double>(c.plan.arena_bytes), 1.05 * static_cast<double>(least))
        << "seed " << seed << ", at least " << least << ":\n"
        << print_plan(c.graph, c.grouping, c.plan);
  }
}

// The independent checker: a plan that is right passes, and each fault put into it is found.
TEST(CheckPlan, FindsEachFault) {
  Sources sources;
  CompileOptions options;
  options.last = "schedule";
  const Compiled right = compile(parse_graph(sources, sources.add("chain", R"(graph "chain" batch=8
tensor @0 input "x" f32[20]
tensor @1 running "m" f32[20]
tensor @2 output "y" f32[8, 20]
%0 = input tensor=@0 : f32[8, 20] sample
%1 = cumsum %0 axis=1 : f32[8, 20] sample
%2 = state tensor=@1 : f32[20]
%3 = broadcast %2 dims=[1] : f32[8, 20] sample
%4 = mul %1 %3 : f32[8, 20] sample
%5 = cumsum %4 axis=1 : f32[8, 20] sample
%6 = cumsum %5 axis=1 : f32[8, 20] sample
%7 = add %6 %1 : f32[8, 20] sample
store @2 %7
%8 = reduce_sum %6 dims=[0] : f32[20]
store @1 %8
)")),
                                 options);
  auto passes = [&](const std::function<void(Plan&)>& change) {
    Plan plan = right.plan;
    change(plan);
    try {
      check_plan(right.graph, right.grouping, plan);
      return true;
    } catch (const InternalError&) {
      return false;
    }
  };
  ASSERT_GE(right.plan.steps.size(), 4u);
  ASSERT_GE(right.plan.buffers.size(), 3u);
  EXPECT_TRUE(passes([](Plan&) {}));
  EXPECT_FALSE(passes([](Plan& p) { p.steps.pop_back(); })) << "a group never runs";
  EXPECT_FALSE(passes([](Plan& p) { p.steps.push_back(p.steps[0]); })) << "a group runs twice";
  EXPECT_FALSE(passes([](Plan& p) { p.arena_bytes -= kAlign; })) << "outside the arena";
  EXPECT_FALSE(passes([](Plan& p) { p.buffers[0].offset = -kAlign; })) << "before the arena";
  EXPECT_FALSE(passes([](Plan& p) {
    p.buffers[0].offset += 4;
    p.arena_bytes += kAlign;
  })) << "not aligned";
  EXPECT_FALSE(passes([](Plan& p) { p.buffer_of.erase(p.buffers[0].slices[0].value); })) << "no buffer";
  for (size_t s = 0; s + 1 < right.plan.steps.size(); ++s)
    EXPECT_EQ(passes([&](Plan& p) { p.steps[s].barrier_after = false; }), !right.plan.steps[s].barrier_after)
        << "no barrier behind step " << s;
  // Two values on one place: right where they do not live together.
  for (size_t a = 0; a < right.plan.buffers.size(); ++a)
    for (size_t b = 0; b < a; ++b) {
      const std::vector<Buffer::Slice>&x = right.plan.buffers[a].slices, &y = right.plan.buffers[b].slices;
      bool meet = x[0].first <= y.back().last && y[0].first <= x.back().last;
      Plan plan = right.plan;
      int64_t past = plan.arena_bytes;
      plan.arena_bytes += std::max(plan.buffers[a].bytes, plan.buffers[b].bytes);
      plan.buffers[a].offset = plan.buffers[b].offset = past;
      EXPECT_EQ(passes([&](Plan& p) { p = plan; }), !meet) << "buffers " << a << " and " << b;
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
