// The dependency rules of docs/architecture.md: reads the includes of every source file.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

namespace {

const std::map<std::string, std::set<std::string>>& allowed() {
  static const std::map<std::string, std::set<std::string>> table = {
      {"compiler/base", {}},
      {"compiler/spec", {"compiler/base"}},
      {"compiler/graph", {"compiler/base"}},
      {"compiler/model", {"compiler/base", "compiler/spec", "compiler/graph"}},
      {"compiler/plan", {"compiler/base", "compiler/graph"}},
      {"compiler/loops", {"compiler/base", "compiler/graph", "compiler/plan", "kernels/math"}},
      {"compiler/emit", {"compiler/base", "compiler/loops"}},
      {"compiler", {"compiler/base", "compiler/graph", "compiler/plan", "compiler/loops", "compiler/emit", "runtime"}},
      {"runtime", {"compiler/base"}},
      {"runtime/cpu", {"compiler/base", "runtime", "runtime/cpu"}},
      {"runtime/cpu/jit", {"compiler/base", "runtime", "runtime/cpu"}},
      {"runtime/store", {"compiler/base"}},
      {"runtime/data", {"compiler/base", "runtime/store"}},
      {"runtime/train", {"compiler/base", "runtime", "runtime/data", "runtime/store"}},
  };
  return table;
}

TEST(Layers, IncludesFollowTheMap) {
  namespace fs = std::filesystem;
  fs::path root = MLC_SOURCE_DIR;
  size_t checked = 0;
  for (const char* top : {"compiler", "runtime"})
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp" && extension != ".def") continue;
      std::string folder = fs::relative(entry.path().parent_path(), root);
      ASSERT_TRUE(allowed().count(folder)) << folder << " is not on the map";
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        if (line.rfind("#include \"", 0) != 0) continue;
        std::string file = line.substr(10, line.find('"', 10) - 10), from = fs::path(file).parent_path();
        EXPECT_TRUE(from == folder || allowed().at(folder).count(from)) << entry.path() << " includes " << file;
        ++checked;
      }
    }
  EXPECT_GT(checked, 100u);
}

}  // namespace
