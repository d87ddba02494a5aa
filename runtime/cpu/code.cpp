#include "runtime/cpu/code.h"

#include "compiler/base/hash.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

namespace mlc {
namespace {

constexpr size_t kKernelsPerModule = 8;

uint64_t program_key(const Program& program, const std::string& target) {
  uint64_t key = hash_bytes(target);
  for (const KernelText& kernel : program.kernels) key = hash_bytes(kernel.text, hash_bytes(kernel.name, key));
  return key;
}

// Modules of about equal text: the largest kernel left goes to the module with the least text.
std::vector<std::vector<const KernelText*>> make_modules(const Program& program, size_t threads) {
  std::vector<const KernelText*> kernels;
  for (const KernelText& kernel : program.kernels) kernels.push_back(&kernel);
  std::stable_sort(kernels.begin(), kernels.end(),
                   [](const KernelText* a, const KernelText* b) { return a->text.size() > b->text.size(); });
  size_t count = std::min(kernels.size(), std::max(threads, (kernels.size() + kKernelsPerModule - 1) / kKernelsPerModule));
  std::vector<std::vector<const KernelText*>> modules(count);
  std::vector<size_t> sizes(count);
  for (const KernelText* kernel : kernels) {
    auto least = static_cast<size_t>(std::min_element(sizes.begin(), sizes.end()) - sizes.begin());
    modules[least].push_back(kernel);
    sizes[least] += kernel->text.size();
  }
  return modules;
}

std::vector<std::string> compile_all(const Program& program, const Jit& jit, size_t threads) {
  std::vector<std::vector<const KernelText*>> modules = make_modules(program, threads);
  std::vector<std::string> objects(modules.size());
  std::vector<std::exception_ptr> faults(modules.size());
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i; (i = next.fetch_add(1)) < modules.size();) try {
        objects[i] = jit.compile(modules[i]);
      } catch (...) {
        faults[i] = std::current_exception();
      }
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min(threads, modules.size()); ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  for (const std::exception_ptr& fault : faults)
    if (fault) std::rethrow_exception(fault);
  return objects;
}

}  // namespace

std::unique_ptr<JitCode> load_code(const Program& program, const ObjectCache& cache, int threads) {
  Jit& jit = load_jit();
  uint64_t key = program_key(program, jit.target());
  auto objects = cache.find(key);
  if (!objects) {
    objects = compile_all(program, jit, static_cast<size_t>(threads));
    std::string source = "; " + program.name + "\n";
    for (const KernelText& kernel : program.kernels) source += "\n; ---- " + kernel.name + "\n" + kernel.text;
    cache.store(key, *objects, source);
  }
  return jit.link({objects->begin(), objects->end()});
}

}  // namespace mlc
