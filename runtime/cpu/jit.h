// LLVM behind an interface without its headers. It lives in a module (libmlc_jit.so) that is loaded at the first use:
// commands that do not compile do not pay for loading LLVM.
#pragma once
#include "runtime/program.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mlc {

using KernelEntry = void (*)(char** buffers, const float* scalars, int64_t tile_begin, int64_t tile_end);

/// Linked machine code; its destructor frees it.
class JitCode {
public:
  virtual ~JitCode() = default;
  /// Throws InternalError when there is no such kernel.
  virtual KernelEntry find(const std::string& kernel) = 0;
};

/// All members may be called from several threads at once.
class Jit {
public:
  virtual ~Jit() = default;
  /// All that decides machine code besides the IR: LLVM version, CPU name and features, pass pipeline.
  virtual const std::string& target() const = 0;
  /// One relocatable object with these kernels. Throws InternalError with the kernel's name and LLVM's words for text
  /// that does not parse or verify.
  virtual std::string compile(const std::vector<const KernelText*>& kernels) const = 0;
  virtual std::unique_ptr<JitCode> link(const std::vector<std::string_view>& objects) = 0;
  /// Assembly text of one kernel's IR, as `compile` makes it; for another CPU where one is named: one of LLVM's names, with
  /// its architecture before it where that is another one ("haswell", "aarch64:neoverse-n1"). Throws RuntimeError when
  /// LLVM does not know it.
  virtual std::string assembly(const std::string& ir, const std::string& cpu = "") const = 0;
};

/// The one Jit of the process. Looked for at $MLC_JIT, beside the executable and in ../lib/mlc of it; throws
/// RuntimeError when it or libLLVM is not there.
Jit& load_jit();

}  // namespace mlc
