#include "runtime/cpu/host.h"
#include "runtime/cpu/jit.h"
#include "runtime/cpu/thread_pool.h"

#include "tests/unit/cpu/programs.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>

namespace mlc::test {
namespace {

TEST(ThreadPool, RunsAJobOncePerThread) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    std::vector<int> calls(static_cast<size_t>(threads));
    for (int i = 0; i < 200; ++i) pool.run([&](int t) { ++calls[static_cast<size_t>(t)]; });
    EXPECT_THAT(calls, ::testing::Each(200));
  }
}

TEST(ThreadPool, WakesSleepers) {
  ThreadPool pool(2);
  int calls = 0;
  for (int i = 0; i < 5; ++i) {
    pool.run([&](int t) {
      if (t == 1) ++calls;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(calls, 5);
}

// Cores may be shared with others: a thread that waits for a job gives its core back.
TEST(ThreadPool, SleepsBetweenJobs) {
  if (!std::filesystem::exists("/proc/self/task")) GTEST_SKIP() << "no list of threads";
  ThreadPool pool(4);
  for (int i = 0; i < 3; ++i) pool.run([](int) {});
  auto awake = [] {
    int count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::string line;
      std::getline(std::ifstream(task.path() / "stat"), line);
      count += line.find(") R ") != std::string::npos;
    }
    return count;
  };
  int last = 0;
  for (int looks = 0; looks < 1000 && (last = awake()) > 1; ++looks) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(last, 1) << "this thread alone";
}

// Threads that outnumber the cores by far still come through every barrier.
TEST(ThreadPool, MoreThreadsThanCores) {
  int threads = 4 * std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  ThreadPool pool(threads);
  Barrier barrier(threads);
  std::vector<int> rounds(static_cast<size_t>(threads));
  pool.run([&](int t) {
    for (int i = 0; i < 100; ++i) {
      ++rounds[static_cast<size_t>(t)];
      barrier.arrive();
    }
  });
  EXPECT_THAT(rounds, ::testing::Each(100));
}

TEST(ThreadPool, CallersTakeTurns) {
  ThreadPool pool(3);
  std::vector<int> calls(3);  // no two jobs at a time, so plain numbers do
  auto many = [&] {
    for (int i = 0; i < 100; ++i) pool.run([&](int t) { ++calls[static_cast<size_t>(t)]; });
  };
  std::thread other(many);
  many();
  other.join();
  EXPECT_THAT(calls, ::testing::Each(200));
}

TEST(Barrier, TheLastToArriveSeesAllAndIsSeenByAll) {
  constexpr int kThreads = 3, kRounds = 3000;
  ThreadPool pool(kThreads);
  Barrier barrier(kThreads);
  std::vector<int> written(kThreads);
  int sum = 0;
  std::atomic<int> wrong{0};
  pool.run([&](int t) {
    for (int round = 1; round <= kRounds; ++round) {
      written[static_cast<size_t>(t)] = round;
      if (round % 1000 == 0 && t == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // others fall asleep
      barrier.arrive([&] { sum = written[0] + written[1] + written[2]; });
      if (sum != kThreads * round) wrong.fetch_add(1);
      barrier.arrive();
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Host, DescribesThisMachine) {
  CpuInfo cpu = detect_cpu();
  EXPECT_FALSE(cpu.name.empty());
  EXPECT_GE(cpu.cores, 1);
  EXPECT_THAT(cpu.vector_lanes, ::testing::AnyOf(4, 8, 16));
  EXPECT_EQ(cpu.vector_lanes == 16, cpu.has("avx512f") && cpu.has("avx512bw") && cpu.has("avx512dq") && cpu.has("avx512vl"));
  EXPECT_TRUE(CpuInfo{.features = {"neon"}}.supported());
  EXPECT_FALSE(CpuInfo{.features = {"avx2"}}.supported());
}

TEST(Jit, WritesAssembly) {
  std::string text = load_jit().assembly(scale_state().text);
  EXPECT_THAT(text, ::testing::HasSubstr("scale_state:"));
#if defined(__x86_64__)
  EXPECT_THAT(text, ::testing::HasSubstr("vmulss"));
#endif
}

TEST(Jit, KeepsVectorsOf512Bits) {
  if (detect_cpu().vector_lanes != 16) GTEST_SKIP() << "this CPU has no 512-bit vectors";
  KernelText add = kernel_per_tile("add16", R"(
  %p = load ptr, ptr %buffers
  %x = load <16 x float>, ptr %p, align 64
  %y = fadd <16 x float> %x, %x
  store <16 x float> %y, ptr %p, align 64)");
  add.text.replace(add.text.find("nounwind"), 8, "nounwind \"prefer-vector-width\"=\"512\" \"min-legal-vector-width\"=\"512\"");
  EXPECT_THAT(load_jit().assembly(add.text), ::testing::HasSubstr("zmm"));
}

}  // namespace
}  // namespace mlc::test
