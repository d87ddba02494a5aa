// Random graphs: compiled code at every width, number of threads, with and without templates and fusion, and in C99, against
// the interpreter in f64. MLC_RANDOM_GRAPHS sets how many (100), MLC_RANDOM_SEED the first seed (1). A graph that fails is
// cut to the fewest ops that still fail, and printed with its seed.
#include "tests/unit/compile/c99_program.h"
#include "tests/unit/compile/random_graph.h"

#include <gtest/gtest-spi.h>

namespace mlc {
namespace {

// Whether a check finds faults; they are not reported.
bool fails(const std::function<void()>& check) {
  testing::TestPartResultArray faults;
  testing::ScopedFakeTestPartResultReporter hide(testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &faults);
  try {
    check();
  } catch (const std::exception&) {
    return true;
  }
  return faults.size() > 0;
}

void run_all(bool elementwise, const std::function<void(Graph, unsigned)>& check) {
  int count = environment("MLC_RANDOM_GRAPHS", 100), first = environment("MLC_RANDOM_SEED", 1);
  for (int i = 0; i < count; ++i) {
    auto seed = static_cast<unsigned>(first + i);
    int ops = 3 + static_cast<int>(seed % 8);
    auto failing = [&](int n) { return fails([&] { check(RandomGraph(seed, elementwise).make(n), seed); }); };
    if (!failing(ops)) continue;
    int least = 0;
    while (least < ops && !failing(least)) ++least;
    Graph graph = RandomGraph(seed, elementwise).make(least);
    ADD_FAILURE() << "seed " << seed << ", cut to " << least << " ops:\n" << print_graph(graph);
    try {
      check(std::move(graph), seed);
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

TEST(RandomGraphs, AgreeEverywhere) {
  run_all(false, [](Graph g, unsigned seed) { Differential(std::move(g), 2, seed).check_some(seed, 3e-4); });
}

// Compiling C takes longest: one graph of ten.
TEST(RandomGraphs, GiveTheBitsOfLlvmInC99) {
  std::string compiler = c99_compiler("gcc");
  if (compiler.empty()) GTEST_SKIP() << "gcc is not installed";
  run_all(false, [&](Graph g, unsigned seed) {
    if (seed % 10 != 0) return;
    Differential d(std::move(g), 2, seed);
    EXPECT_TRUE(Differential::same_bits(run_c99(d, compiler), d.compiled(16, 1)));
  });
}

TEST(RandomGraphs, ElementwiseBitsDoNotDependOnFusion) {
  run_all(true, [](Graph g, unsigned seed) {
    Differential d(std::move(g), 1, seed);
    EXPECT_TRUE(Differential::same_bits(d.compiled(16, 1), d.compiled(8, 2, {"fuse"})));
  });
}

}  // namespace
}  // namespace mlc
