// A program made ready: machine code, arena, argument arrays; and the walk over its launches.
#pragma once
#include "runtime/cpu/jit.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/device.h"
#include "runtime/pages.h"

namespace mlc {

class CpuExecutable : public Executable {
public:
  /// `state` must outlive the executable. Throws InternalError for a program that points outside of its memory.
  CpuExecutable(const Program& program, SharedState& state, std::unique_ptr<JitCode> code, std::shared_ptr<ThreadPool> pool);
  int run(const Feed& feed) override;
  Pages& arena() { return arena_; }

private:
  struct Call;
  struct Step {
    KernelEntry entry = nullptr;
    size_t first_arg = 0;  // in args_
    int64_t tiles = 0;
    bool parallel = false;
    bool barrier = false;
  };
  struct Moving {  // an argument that changes with the call or the step
    size_t arg = 0;
    ArgPlace place;
  };

  void add_launch(const Program& program, const Launch& launch, JitCode& code, SharedState& state);
  void place_barriers(const Program& program);
  void bind_columns(const Feed& feed);
  void begin_step(Call& call);
  void finish_step(Call& call);
  template <bool kTimed> void walk(Call& call, Barrier& barrier, int thread, int threads);

  std::unique_ptr<JitCode> code_;
  std::shared_ptr<ThreadPool> pool_;
  Pages arena_;
  std::vector<Step> steps_;
  std::vector<char*> args_;
  std::vector<Moving> columns_, moving_;
  size_t column_count_ = 0;
  int64_t batch_ = 0, scalar_stride_ = 0, results_per_step_ = 0;
  bool parallel_ = false;
};

}  // namespace mlc
