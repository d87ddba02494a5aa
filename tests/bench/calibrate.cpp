// What this machine gives at this moment: fused multiply-adds from registers and copies through memory, per thread count.
//   calibrate [THREADS...]      one JSON object a line: threads, gflops, copy_gbs
// Build: c++ -std=c++20 -O3 -march=native -pthread calibrate.cpp
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif
typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));
constexpr int kChains = 12;  // enough to hide the latency of one multiply-add on two ports
constexpr int kSteps = 4'000'000;
constexpr size_t kBytes = size_t{64} << 20;
constexpr int kRepeats = 5;

volatile float sink;

void multiply_add() {
  Vector acc[kChains], a, b;
  for (int i = 0; i < kLanes; ++i) a[i] = 0.999f, b[i] = 0.001f;
  for (Vector& v : acc) v = b;
  for (int step = 0; step < kSteps; ++step)
    for (Vector& v : acc) v = v * a + b;
  float sum = 0;
  for (const Vector& v : acc) sum += v[0];
  sink = sum;
}

/// Best of kRepeats, all threads at the same work; seconds.
double best_time(int threads, const std::function<void(int)>& work) {
  double best = 1e9;
  for (int i = 0; i < kRepeats; ++i) {
    auto begin = Clock::now();
    std::vector<std::jthread> pool;
    for (int t = 1; t < threads; ++t) pool.emplace_back(work, t);
    work(0);
    pool.clear();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int> counts;
  for (int i = 1; i < argc; ++i) counts.push_back(std::max(1, std::atoi(argv[i])));
  if (counts.empty()) counts = {1, 2};
  for (int threads : counts) {
    double flops = 2.0 * kLanes * kChains * kSteps * threads;
    double compute = best_time(threads, [](int) { multiply_add(); });
    std::vector<char> from(kBytes, 1), to(kBytes, 2);
    size_t part = kBytes / static_cast<size_t>(threads);
    double copy = best_time(threads, [&](int t) {
      size_t begin = part * static_cast<size_t>(t);
      std::memcpy(to.data() + begin, from.data() + begin, part);
    });
    sink = to[kBytes / 2];
    std::printf("{\"threads\": %d, \"gflops\": %.1f, \"copy_gbs\": %.2f}\n", threads, flops / compute * 1e-9,
                2.0 * static_cast<double>(kBytes) / copy * 1e-9);
  }
}
