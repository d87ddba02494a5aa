// A spec elaborated against its data's schema only: what check, dump-ir and diff look at.
#pragma once
#include "tools/cli/bind.h"
#include "tools/cli/workbench.h"

#include <memory>
#include <string>

namespace mlc {

struct Checked {
  Sources sources;
  Diagnostics diagnostics{sources};
  Node spec;
  Schema schema;
  std::unique_ptr<Model> model;
  int64_t batch = 1;
  std::string note;              ///< the data were not there
};

/// Reads and elaborates the spec at `path`. Messages are printed; the model is null where there were errors. `anywhere`: its data
/// may lie outside of its folder, as those of a finished run do.
std::unique_ptr<Checked> check_spec(const std::string& path, const Arguments& arguments, bool anywhere = false);

}  // namespace mlc
