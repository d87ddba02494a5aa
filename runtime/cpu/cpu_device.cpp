#include "runtime/cpu/cpu_device.h"

#include "compiler/base/diagnostics.h"
#include "runtime/cpu/code.h"
#include "runtime/cpu/cpu_executable.h"
#include "runtime/cpu/host.h"

#include <cstring>

namespace mlc {
namespace {

class CpuDevice : public Device {
public:
  CpuDevice(const CpuOptions& options, int threads)
      : cache_(cache_folder(options)), pool_(std::make_shared<ThreadPool>(threads)), poison_(options.poison_arena) {}

  std::string name() const override { return "cpu"; }

  std::unique_ptr<Executable> load(const Program& program, SharedState& state) override {
    auto made = std::make_unique<CpuExecutable>(program, state, load_code(program, cache_, pool_->size()), pool_);
    // All ones are a NaN in f32, and -1 as a row number or class.
    if (poison_ && program.arena_bytes > 0) std::memset(made->arena().data(), 0xff, static_cast<size_t>(program.arena_bytes));
    return made;
  }

private:
  static std::string cache_folder(const CpuOptions& options) {
    if (!options.use_cache) return "";
    return options.cache_folder.empty() ? default_cache_folder() : options.cache_folder;
  }

  ObjectCache cache_;
  std::shared_ptr<ThreadPool> pool_;
  bool poison_;
};

}  // namespace

std::unique_ptr<Device> make_cpu_device(const CpuOptions& options) {
  CpuInfo cpu = detect_cpu();
  if (!cpu.supported())
    throw RuntimeError("this CPU (" + cpu.name + ") has no AVX2 with FMA, which compiled code needs; use `device: reference`");
  if (options.threads < 0 || options.threads > 1024)
    throw RuntimeError("cannot use " + std::to_string(options.threads) + " threads; 0 means all cores, 1024 is the most");
  return std::make_unique<CpuDevice>(options, options.threads > 0 ? options.threads : cpu.cores);
}

}  // namespace mlc
