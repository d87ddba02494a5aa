// The machine to generate code for, and the code generator proper.
#pragma once
#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>
#include <vector>

namespace mlc {

struct KernelText;

/// This machine: its CPU name and all features.
llvm::orc::JITTargetMachineBuilder host_builder();

/// Another CPU, named as Jit::assembly says.
llvm::orc::JITTargetMachineBuilder builder_of(const std::string& cpu);

/// What distinguishes machine code of the same IR; see Jit::target.
std::string describe_target(const llvm::orc::JITTargetMachineBuilder& builder);

/// Options of LLVM that only its command line has; once, before all else.
void set_options();

/// Compiles kernels into one object or assembly file in memory. Each call has its own LLVM context, so calls run in
/// parallel. Throws InternalError with the name of a kernel that does not parse or verify.
std::string generate(llvm::orc::JITTargetMachineBuilder builder, const std::vector<const KernelText*>& kernels, llvm::CodeGenFileType form);

}  // namespace mlc
