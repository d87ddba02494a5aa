// Threads that stay: between jobs and at barriers they spin, offer their core to others, and after some 150
// microseconds sleep.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mlc {

/// Waits until `word` is no longer `old`: spins first, then sleeps in the kernel. Whoever changes `word` must do it
/// with seq_cst order and call notify_all after it.
void wait_while(const std::atomic<uint32_t>& word, uint32_t old);

/// A barrier for a fixed number of threads.
class Barrier {
public:
  explicit Barrier(int threads) : threads_(static_cast<uint32_t>(threads)) {}

  /// Returns when all threads have arrived. The last one calls `last()` before any goes on: it sees what all wrote
  /// before, and all see what it writes.
  template <class F> void arrive(F&& last) {
    if (threads_ == 1) return last();
    uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 < threads_) return wait_while(phase_, phase);
    last();
    arrived_.store(0, std::memory_order_relaxed);
    // seq_cst: the look for sleepers inside notify_all must not be done before the store is visible.
    phase_.store(phase + 1, std::memory_order_seq_cst);
    phase_.notify_all();
  }
  void arrive() {
    arrive([] {});
  }

private:
  const uint32_t threads_;
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
};

class ThreadPool {
public:
  /// Threads start at the first run().
  explicit ThreadPool(int threads) : threads_(threads) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return threads_; }
  /// Calls job(0) on the calling thread and job(1) .. job(size - 1) on the others; returns when all have returned.
  /// Calls from several threads take turns. A job must not throw. Throws RuntimeError, having run nothing, when the
  /// system refuses threads.
  void run(const std::function<void(int)>& job);

private:
  void start();
  void work(int thread);

  const int threads_;
  std::mutex turn_;
  std::vector<std::thread> workers_;
  const std::function<void(int)>* job_ = nullptr;  // null tells the workers to end
  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<uint32_t> remaining_{0};
};

}  // namespace mlc
