#include "runtime/data/idx.h"

#include "compiler/base/diagnostics.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

namespace mlc {
namespace {

using File = std::unique_ptr<gzFile_s, int (*)(gzFile)>;

File open(const std::string& path) {
  std::error_code fault;
  if (!std::filesystem::exists(path, fault)) throw RuntimeError(path + ": no such file");
  File file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw RuntimeError(path + ": cannot be opened");
  gzbuffer(file.get(), 1 << 17);
  return file;
}

Shape header(const std::string& path, gzFile file) {
  std::array<unsigned char, 4> magic{};
  bool read = gzread(file, magic.data(), 4) == 4;
  if (!read || magic[0] != 0 || magic[1] != 0 || magic[3] < 1 || magic[3] > 8) throw RuntimeError(path + ": not an IDX file");
  if (magic[2] != 8)
    throw RuntimeError(path + ": IDX elements of type " + std::to_string(magic[2]) + "; only unsigned bytes (8) are supported");
  Shape shape;
  int64_t total = 1;
  for (int i = 0; i < magic[3]; ++i) {
    std::array<unsigned char, 4> n{};
    if (gzread(file, n.data(), 4) != 4) throw RuntimeError(path + ": the IDX header ends too early");
    shape.push_back(int64_t{n[0]} << 24 | int64_t{n[1]} << 16 | int64_t{n[2]} << 8 | n[3]);
    if (shape.back() == 0 || __builtin_mul_overflow(total, shape.back(), &total) || total > (int64_t{1} << 40))
      throw RuntimeError(path + ": the IDX header has an impossible extent of " + std::to_string(shape.back()));
  }
  return shape;
}

}  // namespace

Shape idx_shape(const std::string& path) { return header(path, open(path).get()); }

void read_idx(const std::string& path, std::byte* to) {
  File file = open(path);
  int64_t left = element_count(header(path, file.get()));
  while (left > 0) {
    int n = gzread(file.get(), to, static_cast<unsigned>(std::min<int64_t>(left, 1 << 24)));
    if (n <= 0) throw RuntimeError(path + ": the file ends " + std::to_string(left) + " bytes too early");
    to += n;
    left -= n;
  }
  char more;
  if (gzread(file.get(), &more, 1) != 0) throw RuntimeError(path + ": the file goes on behind its last element");
}

}  // namespace mlc
