#include "tools/cli/finished_run.h"

#include "compiler/spec/yaml.h"
#include "runtime/store/safetensors.h"
#include "runtime/store/schema_file.h"

#include <filesystem>
#include <map>

namespace mlc {

namespace fs = std::filesystem;

FinishedRun open_run(const std::string& folder, const std::vector<std::string>& sets, Sources& sources, Diagnostics& diagnostics) {
  FinishedRun run;
  run.folder = folder;
  std::string spec = folder + "/spec.yaml";
  if (!fs::is_regular_file(spec)) throw RuntimeError(folder + " is no run folder: it has no spec.yaml");
  for (const char* name : {"best", "last"})
    if (std::string path = folder + "/checkpoints/" + name + ".safetensors"; run.checkpoint.empty() && fs::is_regular_file(path))
      run.checkpoint = path;
  if (run.checkpoint.empty()) {
    for (const char* part : {"fold1", "trial1"})
      if (fs::is_directory(fs::path(folder) / part))
        throw RuntimeError(folder + " holds several runs: name one of them, as in " + folder + "/" + part);
    throw RuntimeError(folder + " has no checkpoint");
  }
  std::map<std::string, std::string> notes = SafetensorsFile(run.checkpoint).metadata();
  if (auto it = notes.find(kSchemaEntry); it != notes.end()) run.schema = schema_from_text(it->second, run.checkpoint);
  run.spec = load_spec(sources, spec, sets, diagnostics);
  if (!diagnostics.errors()) check_vocabulary(run.spec, diagnostics);
  return run;
}

}  // namespace mlc
