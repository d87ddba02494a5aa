// The module's entry: ORC links the objects that generate.cpp makes.
#include "runtime/cpu/jit.h"

#include "compiler/base/diagnostics.h"
#include "runtime/cpu/jit/target.h"

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>

#include <atomic>

namespace mlc {
namespace {

void check(llvm::Error fault, const char* what) {
  if (fault) throw InternalError(std::string(what) + ": " + llvm::toString(std::move(fault)));
}

template <class T> T check(llvm::Expected<T> result, const char* what) {
  check(result.takeError(), what);
  return static_cast<T&&>(*result);
}

class OrcCode : public JitCode {
public:
  OrcCode(llvm::orc::LLJIT& orc, llvm::orc::JITDylib& library) : orc_(orc), library_(library) {}
  ~OrcCode() override { llvm::consumeError(orc_.getExecutionSession().removeJITDylib(library_)); }
  KernelEntry find(const std::string& kernel) override {
    return check(orc_.lookup(library_, kernel), "no such kernel in the code").toPtr<KernelEntry>();
  }

private:
  llvm::orc::LLJIT& orc_;
  llvm::orc::JITDylib& library_;
};

class HostJit : public Jit {
public:
  HostJit() : builder_(host_builder()), target_(describe_target(builder_)) {}

  const std::string& target() const override { return target_; }

  std::string compile(const std::vector<const KernelText*>& kernels) const override {
    return generate(builder_, kernels, llvm::CodeGenFileType::ObjectFile);
  }

  std::string assembly(const std::string& ir, const std::string& cpu) const override {
    KernelText kernel{.name = "of the dump", .text = ir};
    return generate(cpu.empty() ? builder_ : builder_of(cpu), {&kernel}, llvm::CodeGenFileType::AssemblyFile);
  }

  std::unique_ptr<JitCode> link(const std::vector<std::string_view>& objects) override {
    static llvm::orc::LLJIT& orc = make_orc();
    // Every program has its own library: programs share names of kernels.
    std::string name = "program" + std::to_string(programs_.fetch_add(1));
    llvm::orc::JITDylib& library = check(orc.createJITDylib(name), "ORC library");
    auto code = std::make_unique<OrcCode>(orc, library);
    for (size_t i = 0; i < objects.size(); ++i) {
      auto buffer = llvm::MemoryBuffer::getMemBufferCopy(objects[i], name + "." + std::to_string(i));
      check(orc.addObjectFile(library, std::move(buffer)), "ORC object");
    }
    return code;
  }

private:
  llvm::orc::LLJIT& make_orc() {
    // The inactive platform: no constructors, no thread-local data, and nothing to compile for them.
    auto made = llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(builder_).setPlatformSetUp(llvm::orc::setUpInactivePlatform).create();
    return *check(std::move(made), "ORC").release();  // lives as long as the process
  }

  llvm::orc::JITTargetMachineBuilder builder_;
  std::string target_;
  std::atomic<int> programs_{0};
};

}  // namespace
}  // namespace mlc

extern "C" mlc::Jit* mlc_jit() {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  llvm::InitializeNativeTargetAsmParser();
  mlc::set_options();
  static mlc::HostJit jit;
  return &jit;
}
