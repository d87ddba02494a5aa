// mlc doc and doctor.
#include "compiler/base/text.h"
#include "compiler/model/model.h"
#include "runtime/cpu/host.h"
#include "runtime/cpu/jit.h"
#include "runtime/cpu/object_cache.h"
#include "runtime/data/dataset.h"
#include "tools/cli/cli.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

namespace mlc {

int doc_command(int argc, char** argv) {
  Arguments a("doc", "Documents an op, loss, optimizer, schedule, transform or function (mlc doc linear), or a key of a spec (mlc doc train.epochs); mlc doc all lists them.", {"NAME"});
  if (!a.parse(argc, argv)) return kDone;
  std::string name = a.text("NAME");
  if (name == "all") {
    std::cout << "entries: " << join(entry_names(), " ") << "\nkeys: " << join(key_paths(), " ") << "\n";
    return kDone;
  }
  std::string text = document_entry(name), key = document_key(name);
  if (text.empty() && key.empty()) {
    std::vector<std::string> names = entry_names();
    for (const std::string& path : key_paths()) names.push_back(path);
    Diagnostic d = unknown_name({}, "name", name, names);
    throw RuntimeError(d.text);
  }
  std::cout << text << (text.empty() || key.empty() ? "" : "\n") << key;
  return kDone;
}

int doctor_command(int argc, char** argv) {
  Arguments a("doctor", "Shows the CPU, LLVM, CUDA (found or not, and why), caches and data folders.", {});
  if (!a.parse(argc, argv)) return kDone;
  namespace fs = std::filesystem;
  CpuInfo cpu = detect_cpu();
  std::cout << fmt::format("cpu       {}, {} cores, {} lanes ({})\n", cpu.name, cpu.cores, cpu.vector_lanes, join(cpu.features, " "));
  std::cout << fmt::format("caches    L1 {}, L2 {}, L3 {}\n", format_bytes(static_cast<double>(cpu.l1)), format_bytes(static_cast<double>(cpu.l2)), format_bytes(static_cast<double>(cpu.l3)));
  std::cout << "device    " << (cpu.supported() ? "cpu: compiled code runs here" : "reference only: no AVX2 with FMA, no NEON") << "\n";
  try {
    std::vector<std::string> target = split(load_jit().target(), '\n');
    target.resize(std::min<size_t>(target.size(), 3));   // version, triple, CPU; its features fill a page
    std::cout << "llvm      " << join(target, ", ") << "\n";
  } catch (const std::exception& e) {
    std::cout << "llvm      not loaded: " << e.what() << "\n";
  }
  std::error_code fault;
  const char* cuda = std::getenv("MLC_CUDA_PATH");
  std::string toolkit = cuda ? cuda : "/usr/local/cuda";
  bool driver = fs::exists("/dev/nvidia0", fault);
  std::cout << "cuda      not used by this version; toolkit " << (fs::exists(toolkit + "/lib64/libnvrtc.so", fault) ? "found" : "not found") << " in " << toolkit << ", " << (driver ? "a GPU is there" : "no GPU (/dev/nvidia0 is missing)") << "\n";
  std::cout << "cache     " << default_cache_folder() << "\n";
  std::cout << "tables    " << bundled_folder() << (fs::is_directory(bundled_folder(), fault) ? "" : " (missing)") << "\n";
  const char* data = std::getenv("MLC_DATA");
  std::cout << "data      MLC_DATA " << (data ? data : "is not set") << (data && !fs::is_directory(data, fault) ? " (no such folder)" : "") << "; then ./data" << (fs::is_directory("data", fault) ? "" : " (not there)") << "\n";
  std::cout << "datasets  " << join(dataset_names(), ", ") << "\n";
  return kDone;
}

}  // namespace mlc
