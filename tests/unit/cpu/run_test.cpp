#include "compiler/base/diagnostics.h"
#include "tests/unit/cpu/programs.h"

#include <cmath>
#include <gmock/gmock.h>
#include <limits>

namespace mlc::test {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<Executable> load(const Program& program, SharedState& state, int threads = 1) {
  return make_cpu_device({.threads = threads, .use_cache = false, .poison_arena = true})->load(program, state);
}

TEST(CpuRun, ReadsScalarsAndWritesResultsOfEachStep) {
  SharedState state(4);
  float one = 1;
  state.write(0, &one, 4);
  auto exe = load(scaling_program(), state);
  std::vector<float> scalars = scaling_scalars({2, 3, 0.5f}), results(3);
  EXPECT_EQ(exe->run({.steps = 3, .scalars = scalars.data(), .results = results.data()}), 3);
  EXPECT_THAT(results, ElementsAre(2, 6, 3));
  state.read(0, &one, 4);
  EXPECT_EQ(one, 3);
}

TEST(CpuRun, EndsAfterTheStepWhoseLossIsNotFinite) {
  for (float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    SharedState state(4);
    float one = 1;
    state.write(0, &one, 4);
    auto exe = load(scaling_program(), state);
    std::vector<float> scalars = scaling_scalars({2, bad, 2}), results(3);
    Feed feed{.steps = 3, .scalars = scalars.data(), .results = results.data(), .loss_result = 0};
    EXPECT_EQ(exe->run(feed), 2);
    EXPECT_EQ(results[2], 0);
    feed.loss_result = -1;
    EXPECT_EQ(exe->run(feed), 3);
  }
}

TEST(CpuRun, StopsBetweenSteps) {
  // The kernel sets the flag itself, in step 2 of 5: it is the result of that step.
  Program p{.name = "stop", .state_bytes = 1, .results_per_step = 1};
  p.kernels = {kernel_per_tile("set_flag", R"(
  %flag = load ptr, ptr %buffers
  %value.p = getelementptr float, ptr %scalars, i64 0
  %value = load i8, ptr %value.p
  store i8 %value, ptr %flag)")};
  p.launches = {{.kernel = 0, .args = {at(Space::state)}}};
  SharedState state(1);
  static_assert(sizeof(std::atomic<bool>) == 1);
  auto* flag = reinterpret_cast<const std::atomic<bool>*>(state.data());
  auto exe = load(p, state);
  std::vector<float> scalars(15), results(5);
  reinterpret_cast<uint8_t&>(scalars[3]) = 1;
  Feed feed{.steps = 5, .scalars = scalars.data(), .results = results.data(), .stop = flag};
  EXPECT_EQ(exe->run(feed), 2);
  EXPECT_EQ(exe->run(feed), 0) << "set before the call";
}

// gathered[i] = column[rows[i]] over a batch of 4; results are the gathered numbers.
Program gather_program() {
  Program p{.name = "gather", .arena_bytes = 16, .batch = 4, .results_per_step = 4};
  p.tensors = {{.path = "other", .role = Role::input}, {.path = "x", .role = Role::input}};
  p.kernels = {kernel_per_tile("gather", R"(
  %column = load ptr, ptr %buffers
  %rows.p = getelementptr ptr, ptr %buffers, i64 1
  %rows = load ptr, ptr %rows.p
  %out.p = getelementptr ptr, ptr %buffers, i64 2
  %out = load ptr, ptr %out.p
  %row.p = getelementptr i32, ptr %rows, i64 %tile
  %row = load i32, ptr %row.p
  %from = getelementptr float, ptr %column, i32 %row
  %x = load float, ptr %from
  %to = getelementptr float, ptr %out, i64 %tile
  store float %x, ptr %to)")};
  p.launches = {{.kernel = 0, .args = {at(Space::column, 0, 1), at(Space::rows), at(Space::results)}, .tiles = 4, .parallel = true}};
  return p;
}

TEST(CpuRun, GathersRowsOfTheStepFromTheRightColumn) {
  std::vector<float> other(8, -1), column{0, 10, 20, 30, 40, 50, 60, 70}, scalars(6);
  std::vector<int32_t> rows{7, 0, 1, 2, 3, 3, 6, 5};
  for (int threads : {1, 2, 3, 5}) {
    SharedState state(0);
    auto exe = load(gather_program(), state, threads);
    std::vector<float> results(8);
    Feed feed{
        .steps = 2, .columns = {other.data(), column.data()}, .rows = rows.data(), .scalars = scalars.data(), .results = results.data()};
    EXPECT_EQ(exe->run(feed), 2);
    EXPECT_THAT(results, ElementsAre(70, 0, 10, 20, 30, 30, 60, 50)) << threads << " threads";
    feed.columns.pop_back();
    EXPECT_THROW(exe->run(feed), InternalError);
  }
}

// Each launch reads what other threads wrote in the one before. Per round: two parallel, three serial, one parallel.
std::vector<int32_t> ping_pong(int threads, int tiles, int rounds, int steps) {
  Program p{.name = "ping-pong", .kernels = {neighbour_sum("sum", tiles)}, .arena_bytes = tiles * 4, .state_bytes = tiles * 4};
  Launch there{.kernel = 0, .args = {at(Space::state), at(Space::arena)}, .tiles = tiles, .parallel = true};
  Launch back{.kernel = 0, .args = {at(Space::arena), at(Space::state)}, .tiles = tiles, .parallel = true};
  Launch serial_there = there, serial_back = back;
  serial_there.parallel = serial_back.parallel = false;
  for (int i = 0; i < rounds; ++i) p.launches.insert(p.launches.end(), {there, back, serial_there, serial_back, serial_there, back});
  SharedState state(p.state_bytes);
  std::vector<int32_t> numbers(static_cast<size_t>(tiles));
  for (int i = 0; i < tiles; ++i) numbers[static_cast<size_t>(i)] = i * i + 1;
  state.write(0, numbers.data(), p.state_bytes);
  auto exe = load(p, state, threads);
  std::vector<float> scalars(static_cast<size_t>(3 * steps)), results;
  EXPECT_EQ(exe->run({.steps = steps, .scalars = scalars.data()}), steps);
  state.read(0, numbers.data(), p.state_bytes);
  return numbers;
}

TEST(CpuRun, SameNumbersForAnyThreadCount) {
  std::vector<int32_t> serial = ping_pong(1, 37, 5, 20);
  for (int threads : {2, 3, 4, 37, 50}) EXPECT_EQ(ping_pong(threads, 37, 5, 20), serial) << threads << " threads";
}

TEST(CpuRun, SharesParallelLaunchesAmongThreads) {
  Program p{.name = "share", .kernels = {neighbour_sum("sum", 8)}, .arena_bytes = 32, .state_bytes = 32};
  Launch there{.kernel = 0, .args = {at(Space::state), at(Space::arena)}, .tiles = 8, .parallel = true};
  Launch alone{.kernel = 0, .args = {at(Space::arena), at(Space::state)}, .tiles = 8, .parallel = false};
  p.launches = {there, alone};
  SharedState state(p.state_bytes);
  auto exe = load(p, state, 3);
  std::vector<float> scalars(3);
  LaunchTimes times;
  EXPECT_EQ(exe->run({.steps = 0, .scalars = scalars.data(), .times = &times}), 0);
  EXPECT_TRUE(times.threads.empty());
  EXPECT_EQ(exe->run({.steps = 1, .scalars = scalars.data(), .times = &times}), 1);
  ASSERT_EQ(times.threads.size(), 3u);
  for (size_t thread = 0; thread < 3; ++thread) {
    std::vector<int> launches;
    for (const LaunchTimes::Span& s : times.threads[thread]) launches.push_back(s.launch);
    EXPECT_EQ(launches, thread == 0 ? std::vector<int>({0, 1}) : std::vector<int>({0})) << "thread " << thread;
  }
}

TEST(CpuRun, BarriersHoldUnderStress) {
  std::vector<int32_t> serial = ping_pong(1, 999, 20, 100);
  for (int threads : {2, 3, 6}) EXPECT_EQ(ping_pong(threads, 999, 20, 100), serial) << threads << " threads";
}

TEST(CpuRun, FlushesDenormalsDuringTheCallOnly) {
  SharedState state(4);
  float tiny = std::numeric_limits<float>::min();
  state.write(0, &tiny, 4);
  auto exe = load(scaling_program(), state);
  std::vector<float> scalars = scaling_scalars({0.5f}), results(1, 7);
  exe->run({.steps = 1, .scalars = scalars.data(), .results = results.data()});
  EXPECT_EQ(results[0], 0);
  volatile float half = tiny;
  EXPECT_NE(half * 0.5f, 0);
}

TEST(CpuRun, ProgramsShareStateAndKernelNames) {
  SharedState state(4);
  float one = 1;
  state.write(0, &one, 4);
  auto device = make_cpu_device({.threads = 2, .use_cache = false});
  auto first = device->load(scaling_program(), state), second = device->load(scaling_program(), state);
  device.reset();
  std::vector<float> scalars = scaling_scalars({3}), results(1);
  Feed feed{.steps = 1, .scalars = scalars.data(), .results = results.data()};
  first->run(feed);
  first.reset();
  second->run(feed);
  EXPECT_EQ(results[0], 9);
}

TEST(CpuLoad, RefusesProgramsOutsideOfTheirMemory) {
  SharedState state(4);
  auto refused = [&](auto change) {
    Program p = scaling_program();
    change(p);
    EXPECT_THROW(load(p, state), InternalError);
  };
  refused([](Program& p) { p.launches[0].kernel = 1; });
  refused([](Program& p) { p.launches[0].args[0].offset = 4; });
  refused([](Program& p) { p.launches[0].args[1].offset = 4; });
  refused([](Program& p) { p.launches[0].args[0].space = Space::arena; });
  refused([](Program& p) { p.launches[0].args[0] = at(Space::column); });
  refused([](Program& p) { p.state_bytes = 8; });
}

TEST(CpuLoad, SaysWhichKernelIsBad) {
  SharedState state(4);
  auto message = [&](const std::string& text) {
    Program p = scaling_program();
    p.kernels[0].text = text;
    try {
      load(p, state);
    } catch (const InternalError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(message("define void @scale_state(ptr %b) {\n  %x = fadd float 1.0\n  ret void\n}"),
              ::testing::AllOf(::testing::HasSubstr("kernel scale_state: line 3"), ::testing::HasSubstr("expected ','")));
  EXPECT_THAT(message("define void @scale_state(ptr %b) {\na:\n  br label %b1\nb1:\n  %y = add i32 %x, 1\n  %x = add "
                      "i32 1, 1\n  ret void\n}"),
              ::testing::HasSubstr("does not dominate"));
  EXPECT_THAT(message("define void @other(ptr %b) {\n  ret void\n}"), ::testing::HasSubstr("scale_state"));
}

TEST(CpuLoad, ManyKernelsInSeveralModules) {
  Program p{.name = "many", .state_bytes = 400};
  for (int i = 0; i < 50; ++i) {
    p.kernels.push_back(kernel_per_tile("write" + std::to_string(i), R"(
  %out = load ptr, ptr %buffers
  store i32 )" + std::to_string(1000 + i) + ", ptr %out"));
    p.launches.push_back({.kernel = i, .args = {at(Space::state, i * 8)}});
  }
  SharedState state(400);
  std::vector<float> scalars(3);
  load(p, state, 2)->run({.steps = 1, .scalars = scalars.data()});
  for (int i = 0; i < 50; ++i) {
    int32_t number = 0;
    state.read(i * 8, &number, 4);
    EXPECT_EQ(number, 1000 + i);
  }
}

TEST(CpuDevice, RefusesThreadCounts) {
  EXPECT_THROW(make_cpu_device({.threads = -1}), RuntimeError);
  EXPECT_THROW(make_cpu_device({.threads = 5000}), RuntimeError);
}

TEST(SharedState, IsZeroedAlignedAndChecked) {
  for (int64_t bytes : {int64_t{0}, int64_t{4}, int64_t{100000}, int64_t{5} << 20}) {
    SharedState state(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(state.data()) % 64, 0u);
    int32_t number = -1;
    if (bytes >= 4) {
      state.read(bytes - 4, &number, 4);
      EXPECT_EQ(number, 0);
    }
    EXPECT_THROW(state.read(bytes - 3, &number, 4), InternalError);
    EXPECT_THROW(state.write(-1, &number, 1), InternalError);
  }
}

}  // namespace
}  // namespace mlc::test
