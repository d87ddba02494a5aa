#include "runtime/cpu/thread_pool.h"

#include "compiler/base/diagnostics.h"

#include <chrono>
#include <system_error>

namespace mlc {
namespace {

// Waking a sleeping thread takes some 50 microseconds on a virtual machine, more than most waits in balanced work. So a
// thread spins, then offers its core to others at each look, and only then sleeps: on shared cores the offer lets the
// missing thread run, on free ones it returns at once.
constexpr int kSpins = 400;                               // some 10 microseconds
constexpr auto kPatience = std::chrono::microseconds(150);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  asm volatile("yield");
#endif
}

}  // namespace

void wait_while(const std::atomic<uint32_t>& word, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (word.load(std::memory_order_acquire) != old) return;
    pause();
  }
  for (auto begin = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() - begin < kPatience; std::this_thread::yield())
    if (word.load(std::memory_order_acquire) != old) return;
  word.wait(old, std::memory_order_acquire);
}

ThreadPool::~ThreadPool() {
  job_ = nullptr;
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::start() {
  try {
    while (static_cast<int>(workers_.size()) < threads_ - 1)
      workers_.emplace_back(&ThreadPool::work, this, static_cast<int>(workers_.size()) + 1);
  } catch (const std::system_error&) {
    throw RuntimeError("cannot start " + std::to_string(threads_) + " threads; use fewer (--threads)");
  }
}

void ThreadPool::run(const std::function<void(int)>& job) {
  std::lock_guard lock(turn_);
  if (threads_ > 1) {
    start();
    job_ = &job;
    remaining_.store(static_cast<uint32_t>(threads_ - 1), std::memory_order_relaxed);
    generation_.fetch_add(1);
    generation_.notify_all();
  }
  job(0);
  for (uint32_t left; (left = remaining_.load(std::memory_order_acquire)) != 0;) wait_while(remaining_, left);
}

void ThreadPool::work(int thread) {
  for (uint32_t seen = 0;; ++seen) {
    wait_while(generation_, seen);
    if (job_ == nullptr) return;
    (*job_)(thread);
    if (remaining_.fetch_sub(1) == 1) remaining_.notify_all();
  }
}

}  // namespace mlc
