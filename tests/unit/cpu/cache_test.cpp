#include "runtime/cpu/object_cache.h"
#include "tests/unit/cpu/programs.h"

#include <fstream>
#include <gmock/gmock.h>
#include <sys/wait.h>

namespace mlc::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::Optional;

std::vector<fs::path> files(const std::string& folder, const std::string& extension) {
  std::vector<fs::path> found;
  for (const auto& file : fs::directory_iterator(folder))
    if (file.path().extension() == extension) found.push_back(file.path());
  return found;
}

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void overwrite(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// One step with factor 5 from state 1.
float run_scaling(const std::string& cache_folder, const Program& program = scaling_program()) {
  SharedState state(4);
  float one = 1;
  state.write(0, &one, 4);
  auto exe = make_cpu_device({.threads = 1, .cache_folder = cache_folder})->load(program, state);
  std::vector<float> scalars = scaling_scalars({5}), results(1);
  exe->run({.steps = 1, .scalars = scalars.data(), .results = results.data()});
  return results[0];
}

TEST(ObjectCache, FindsWhatWasStored) {
  TemporaryFolder folder;
  ObjectCache cache(folder.path + "/deep/er");
  EXPECT_EQ(cache.find(1), std::nullopt);
  cache.store(1, {"first", std::string("\0second\n", 8), ""}, "source");
  EXPECT_THAT(cache.find(1), Optional(ElementsAre("first", std::string("\0second\n", 8), "")));
  EXPECT_EQ(cache.find(2), std::nullopt);
}

TEST(ObjectCache, DamagedFilesAreNotThere) {
  TemporaryFolder folder;
  ObjectCache cache(folder.path);
  cache.store(7, {"one object", "another"}, "");
  fs::path file = files(folder.path, ".o").at(0);
  std::string good = content(file);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    overwrite(file, bad);
    EXPECT_EQ(cache.find(7), std::nullopt) << "byte " << i;
    overwrite(file, good.substr(0, i));
    EXPECT_EQ(cache.find(7), std::nullopt) << "cut to " << i;
  }
  // Another program's file under this name.
  cache.store(8, {"x"}, "");
  fs::copy_file(folder.path + "/0000000000000008.o", file, fs::copy_options::overwrite_existing);
  EXPECT_EQ(cache.find(7), std::nullopt);
}

TEST(ObjectCache, RemovesTheOldestBeyondItsLimit) {
  TemporaryFolder folder;
  ObjectCache cache(folder.path, 3000);
  for (uint64_t key = 0; key < 10; ++key) {
    cache.store(key, {std::string(900, 'x')}, "");
    for (const fs::path& file : files(folder.path, ".o")) fs::last_write_time(file, fs::last_write_time(file) - std::chrono::seconds(10));
  }
  EXPECT_EQ(files(folder.path, ".o").size(), 3u);
  EXPECT_EQ(cache.find(5), std::nullopt);
  EXPECT_NE(cache.find(9), std::nullopt);
}

TEST(ObjectCache, NoFolderAndUnwritableFolderAreNoErrors) {
  ObjectCache none("");
  none.store(1, {"x"}, "");
  EXPECT_EQ(none.find(1), std::nullopt);
  ObjectCache closed("/proc/none");
  closed.store(1, {"x"}, "");
  EXPECT_EQ(closed.find(1), std::nullopt);
}

TEST(CpuCache, IsWrittenOnceAndUsed) {
  TemporaryFolder folder;
  EXPECT_EQ(run_scaling(folder.path), 5);
  ASSERT_EQ(files(folder.path, ".o").size(), 1u);
  EXPECT_THAT(content(files(folder.path, ".ll").at(0)), ::testing::HasSubstr("define void @scale_state"));
  // Put the code of another program in its place: that this one then runs shows that the cache is read.
  TemporaryFolder other_folder;
  Program other = scaling_program();
  size_t at = other.kernels[0].text.find("fmul");
  other.kernels[0].text.replace(at, 4, "fadd");
  EXPECT_EQ(run_scaling(other_folder.path, other), 6);
  ObjectCache cache(folder.path), others(other_folder.path);
  uint64_t key = std::stoull(files(folder.path, ".o").at(0).stem(), nullptr, 16);
  uint64_t other_key = std::stoull(files(other_folder.path, ".o").at(0).stem(), nullptr, 16);
  EXPECT_NE(key, other_key);
  cache.store(key, *others.find(other_key), "");
  EXPECT_EQ(run_scaling(folder.path), 6);
}

TEST(CpuCache, DamagedEntryIsCompiledAgain) {
  TemporaryFolder folder;
  run_scaling(folder.path);
  fs::path file = files(folder.path, ".o").at(0);
  std::string good = content(file);
  overwrite(file, good.substr(0, good.size() / 2));
  EXPECT_EQ(run_scaling(folder.path), 5);
  EXPECT_EQ(content(file), good) << "replaced, and objects are the same bytes each time";
}

TEST(CpuCache, ConcurrentProcesses) {
  TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    pid_t child = fork();
    if (child == 0) {
      bool good = true;
      for (int round = 0; round < 3; ++round) good &= run_scaling(folder.path) == 5;
      _exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files(folder.path, ".o").size(), 1u);
  EXPECT_TRUE(files(folder.path, ".tmp").empty());
}

}  // namespace
}  // namespace mlc::test
