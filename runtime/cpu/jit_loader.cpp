#include "compiler/base/diagnostics.h"
#include "runtime/cpu/jit.h"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>

namespace mlc {
namespace {

Jit& load() {
  namespace fs = std::filesystem;
  std::error_code ignored;
  fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  std::vector<fs::path> places = {folder / "libmlc_jit.so", folder / "../lib/mlc/libmlc_jit.so"};
  if (const char* set = std::getenv("MLC_JIT")) places = {set};
  for (const fs::path& place : places) {
    if (!fs::exists(place, ignored)) continue;
    void* module = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) throw RuntimeError(std::string("cannot load the code generator: ") + dlerror());
    auto entry = reinterpret_cast<Jit* (*)()>(dlsym(module, "mlc_jit"));
    if (entry == nullptr) throw RuntimeError("not a code generator of mlc: " + place.string());
    return *entry();
  }
  throw RuntimeError("the code generator is missing: " + places.front().string() +
                     "; build the target mlc_jit, or use `device: reference`");
}

}  // namespace

Jit& load_jit() {
  static Jit& jit = load();
  return jit;
}

}  // namespace mlc
