#include "tools/cli/limits.h"

#include "compiler/base/hash.h"
#include "compiler/emit/llvm.h"
#include "compiler/loops/build.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

namespace mlc {
namespace {

constexpr int64_t kTurns = 1'000'000;
constexpr size_t kCopied = size_t{32} << 20;
constexpr int kRepeats = 3;

double best_seconds(const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < kRepeats; ++i) {
    auto begin = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

// A loop of independent multiply-adds, enough of them to hide the latency of one; written for the same emitter as all
// kernels.
loops::Kernel multiply_adds(int threads, int chains) {
  using namespace loops;
  Kernel k;
  k.name = "limit_multiply_add";
  k.buffers.push_back({KernelBuffer::Kind::argument, DType::f32, 0, true, "out", {}});
  k.tiles = threads;
  Writer w(k);
  auto at = [&](int64_t base, Reg tile) {
    return Access{.buffer = 0, .at = {base, tile == kNoReg ? decltype(Address::terms){} : decltype(Address::terms){{tile, kLanes}}}};
  };
  Reg factor = w.load(at(0, kNoReg), true), addend = w.load(at(kLanes, kNoReg), true);
  w.begin_for(0, kTurns);
  std::vector<Reg> sums;
  for (int i = 0; i < chains; ++i) sums.push_back(w.carry(addend));
  for (Reg s : sums) w.next(s, w.fma(s, factor, addend));
  w.end_for();
  Reg total = sums[0];
  for (size_t i = 1; i < sums.size(); ++i) total = w.add(total, sums[i]);
  w.store(at(2 * kLanes, k.tile), total);
  return k;
}

double measure_gflops(int threads, const Target& target) {
  int chains = 12 * target.lanes / kLanes;
  loops::Kernel kernel = multiply_adds(threads, std::max(chains, 3));
  Program p;
  p.name = "limits";
  p.kernels.push_back({kernel.name, emit_llvm(kernel, target.lanes), 0});
  p.kernels[0].hash = hash_bytes(p.kernels[0].text);
  p.launches.push_back({0, {{Space::arena, 0, 0}}, threads, true, true});
  p.arena_bytes = 4 * kLanes * (threads + 2);
  p.batch = 1;
  SharedState state(64);
  std::unique_ptr<Executable> run = make_cpu_device({.threads = threads})->load(p, state);
  int32_t row = 0;
  std::vector<float> scalars(kFirstScalar), results(1);
  Feed feed;
  feed.steps = 1, feed.rows = &row, feed.scalars = scalars.data(), feed.results = results.data();
  double seconds = best_seconds([&] { run->run(feed); });
  return 2.0 * kLanes * std::max(chains, 3) * kTurns * threads / seconds * 1e-9;
}

double measure_gbytes(int threads) {
  std::vector<char> from(kCopied, 1), to(kCopied, 2);
  ThreadPool pool(threads);
  size_t part = kCopied / static_cast<size_t>(threads);
  double seconds = best_seconds([&] {
    pool.run([&](int t) { std::memcpy(to.data() + part * static_cast<size_t>(t), from.data() + part * static_cast<size_t>(t), part); });
  });
  return 2.0 * static_cast<double>(part) * threads / seconds * 1e-9;
}

}  // namespace

MachineLimits measure_limits(int threads, const Target& target) { return {measure_gflops(threads, target), measure_gbytes(threads)}; }

}  // namespace mlc
