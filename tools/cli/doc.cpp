// mlc doc and doctor.
#include "compiler/base/text.h"
#include "compiler/model/entries.h"
#include "compiler/model/model.h"
#include "runtime/cpu/host.h"
#include "runtime/cpu/jit.h"
#include "runtime/cpu/object_cache.h"
#include "runtime/data/dataset.h"
#include "tools/cli/cli.h"
#include "tools/cli/topics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

namespace mlc {

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The first sentence, cut to a line.
std::string brief(const std::string& doc) {
  std::string first = doc.substr(0, doc.find(". "));
  return utf8_length(first) > 90 ? utf8_slice(first, 0, 87) + "..." : first;
}

std::string list_row(const std::string& name, const std::string& text) { return fmt::format("  {:<26} {}\n", name, brief(text)); }

std::string overview() {
  static const std::pair<const char*, const char*> kTitles[] = {{"block", "layers"},
                                                                {"function", "functions and activations"},
                                                                {"loss", "losses"},
                                                                {"optimizer", "optimizers"},
                                                                {"schedule", "schedules"},
                                                                {"transform", "transforms"},
                                                                {"primitive", "primitives of formulas"}};
  std::string out = "topics\n";
  for (const Topic& t : topics()) out += list_row(t.name, t.summary);
  out += "sections of a spec\n";
  for (const KeyInfo& k : key_infos())
    if (k.path.find('.') == std::string::npos && !k.planned) out += list_row(k.path, k.doc);
  std::vector<EntryInfo> entries = entry_infos();
  for (auto [kind, title] : kTitles) {
    out += std::string(title) + "\n";
    for (const EntryInfo& e : entries)
      if (e.kind == kind) out += list_row(e.name, e.doc);
  }
  return out + "mlc doc NAME tells more; mlc doc WORD searches.\n";
}

// Names that hold the word before texts that do.
std::string search(const std::string& word) {
  std::string wanted = lower(word), names, texts;
  auto add = [&](const std::string& name, const std::string& doc) {
    if (lower(name).find(wanted) != std::string::npos) names += list_row(name, doc);
    else if (lower(doc).find(wanted) != std::string::npos) texts += list_row(name, doc);
  };
  for (const Topic& t : topics()) add(t.name, t.text);
  for (const KeyInfo& k : key_infos())
    if (!k.planned) add(k.path, k.doc);
  for (const EntryInfo& e : entry_infos()) {
    std::string doc = e.doc;
    for (const EntryInfo::Argument& argument : e.arguments) doc += " " + argument.name + " " + argument.doc;
    add(e.name, doc);
  }
  return names + texts;
}

}  // namespace

int doc_command(int argc, char** argv) {
  Arguments a("doc",
              "Documents an op, loss, optimizer, schedule, transform or function (linear), a key of a spec (train.epochs) or a topic "
              "(lints); another word is searched for; without a name everything is listed.",
              {"[NAME]"});
  a.example("mlc doc conv2d\n  mlc doc train.early_stopping\n  mlc doc momentum");
  if (!a.parse(argc, argv)) return kDone;
  std::string name = a.text("NAME");
  if (name.empty()) return std::cout << overview(), kDone;
  if (name == "all") {
    std::cout << "entries: " << join(entry_names(), " ") << "\nkeys: " << join(key_paths(), " ") << "\n";
    return kDone;
  }
  std::string text = document_entry(name), key = document_key(name);
  for (const Topic& t : topics())
    if (name == t.name) key += (key.empty() ? "" : "\n") + std::string(t.text);
  if (text.empty() && key.empty()) key = search(name);
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
  std::cout << fmt::format("caches    L1 {}, L2 {}, L3 {}\n", format_bytes(static_cast<double>(cpu.l1)),
                           format_bytes(static_cast<double>(cpu.l2)), format_bytes(static_cast<double>(cpu.l3)));
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
  std::cout << "cuda      not used by this version; toolkit " << (fs::exists(toolkit + "/lib64/libnvrtc.so", fault) ? "found" : "not found")
            << " in " << toolkit << ", " << (driver ? "a GPU is there" : "no GPU (/dev/nvidia0 is missing)") << "\n";
  std::cout << "cache     " << default_cache_folder() << "\n";
  std::cout << "tables    " << bundled_folder() << (fs::is_directory(bundled_folder(), fault) ? "" : " (missing)") << "\n";
  const char* data = std::getenv("MLC_DATA");
  std::cout << "data      MLC_DATA " << (data ? data : "is not set") << (data && !fs::is_directory(data, fault) ? " (no such folder)" : "")
            << "; then ./data" << (fs::is_directory("data", fault) ? "" : " (not there)") << "\n";
  std::cout << "datasets  " << join(dataset_names(), ", ") << "\n";
  return kDone;
}

}  // namespace mlc
