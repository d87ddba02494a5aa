#include "compiler/base/diagnostics.h"
#include "runtime/cpu/jit/target.h"
#include "runtime/program.h"

#include <llvm/AsmParser/Parser.h>
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Linker/Linker.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/Host.h>

namespace mlc {
namespace {

// The text is already vectorised and unrolled: these passes clean up addresses and loads; O2 makes no faster kernels
// and takes six times as long.
constexpr const char* kPipeline = "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),gvn,dce)";

// What only LLVM's command line has. Addresses are a base and a displacement already: strength reduction takes a quarter of the time
// of code generation, and kernels are as fast without. Sums that the emitter keeps in scratch stay there: the registers are
// the micro-kernels'.
constexpr const char* kNoStrengthReduction = "-disable-lsr";
constexpr const char* kNoPromotion = "-disable-licm-promotion";

// Without a handler LLVM prints errors and ends the process.
void keep_error(const llvm::DiagnosticInfo* info, void* errors) {
  if (info->getSeverity() != llvm::DS_Error) return;
  llvm::raw_string_ostream stream(*static_cast<std::string*>(errors));
  llvm::DiagnosticPrinterRawOStream printer(stream);
  info->print(printer);
}

std::unique_ptr<llvm::Module> parse(const KernelText& kernel, llvm::LLVMContext& context) {
  llvm::SMDiagnostic fault;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(kernel.text, fault, context);
  if (!module)
    throw InternalError("LLVM does not accept kernel " + kernel.name + ": line " + std::to_string(fault.getLineNo()) + ": " +
                        fault.getMessage().str() + ": " + fault.getLineContents().str());
  std::string why;
  llvm::raw_string_ostream stream(why);
  if (llvm::verifyModule(*module, &stream)) throw InternalError("LLVM does not accept kernel " + kernel.name + ": " + why);
  return module;
}

void optimize(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager passes;
  if (llvm::Error fault = builder.parsePassPipeline(passes, kPipeline))
    throw InternalError("LLVM pass pipeline: " + llvm::toString(std::move(fault)));
  passes.run(module, modules);
}

llvm::orc::JITTargetMachineBuilder settle(llvm::orc::JITTargetMachineBuilder builder) {
  builder.setRelocationModel(llvm::Reloc::PIC_);
  builder.setCodeModel(llvm::CodeModel::Small);
  builder.setCodeGenOptLevel(llvm::CodeGenOptLevel::Default);
  // The emitter chose the vector width: 512-bit vectors stay whole where the CPU has them.
  if (builder.getTargetTriple().isX86()) builder.addFeatures({"-prefer-256-bit"});
  return builder;
}

}  // namespace

llvm::orc::JITTargetMachineBuilder host_builder() {
  auto host = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!host) throw InternalError("LLVM does not know this machine: " + llvm::toString(host.takeError()));
  return settle(std::move(*host));
}

llvm::orc::JITTargetMachineBuilder builder_of(const std::string& cpu) {
  llvm::InitializeAllTargetInfos();
  llvm::InitializeAllTargets();
  llvm::InitializeAllTargetMCs();
  llvm::InitializeAllAsmPrinters();
  llvm::Triple triple(llvm::sys::getProcessTriple());
  size_t colon = cpu.find(':');
  if (colon != std::string::npos) triple.setArchName(cpu.substr(0, colon));
  llvm::orc::JITTargetMachineBuilder builder(triple);
  auto plain = builder.createTargetMachine();
  if (!plain) throw RuntimeError("LLVM has no code generator for " + cpu + ": " + llvm::toString(plain.takeError()));
  std::string name = colon == std::string::npos ? cpu : cpu.substr(colon + 1);
  if (!(*plain)->getMCSubtargetInfo()->isCPUStringValid(name))
    throw RuntimeError("LLVM knows no CPU '" + name + "' of " + triple.getArchName().str());
  builder.setCPU(name);
  return settle(std::move(builder));
}

void set_options() {
  const char* arguments[] = {"mlc", kNoStrengthReduction, kNoPromotion};
  llvm::cl::ParseCommandLineOptions(3, arguments);
}

std::string describe_target(const llvm::orc::JITTargetMachineBuilder& builder) {
  return "LLVM " LLVM_VERSION_STRING "\n" + builder.getTargetTriple().str() + "\n" + builder.getCPU() + "\n" +
         builder.getFeatures().getString() + "\n" + kPipeline + "\n" + kNoStrengthReduction + kNoPromotion;
}

std::string generate(llvm::orc::JITTargetMachineBuilder builder, const std::vector<const KernelText*>& kernels,
                     llvm::CodeGenFileType form) {
  auto made = builder.createTargetMachine();
  if (!made) throw InternalError("LLVM target: " + llvm::toString(made.takeError()));
  llvm::TargetMachine& machine = **made;
  std::string errors;
  llvm::LLVMContext context;
  context.setDiagnosticHandlerCallBack(keep_error, &errors);
  llvm::Module whole("kernels", context);
  whole.setTargetTriple(machine.getTargetTriple().str());
  whole.setDataLayout(machine.createDataLayout());
  llvm::Linker linker(whole);
  for (const KernelText* kernel : kernels) {
    std::unique_ptr<llvm::Module> part = parse(*kernel, context);
    part->setTargetTriple(whole.getTargetTriple());
    part->setDataLayout(whole.getDataLayout());
    if (linker.linkInModule(std::move(part))) throw InternalError("LLVM does not link kernel " + kernel->name + ": " + errors);
  }
  optimize(whole, machine);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager codegen;
  if (machine.addPassesToEmitFile(codegen, stream, nullptr, form)) throw InternalError("LLVM cannot write code for this machine");
  codegen.run(whole);
  if (!errors.empty()) throw InternalError("LLVM cannot generate code: " + errors);
  return {bytes.begin(), bytes.end()};
}

}  // namespace mlc
