#include "runtime/store/bytes.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <new>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mlc {

namespace {

constexpr std::align_val_t kAlignment{64};

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw RuntimeError(path + ": cannot " + what + ": " + std::strerror(errno));
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

size_t machine_memory() {
  static const size_t memory = [] {
    auto least = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_t limit = 0;
    if (std::ifstream container("/sys/fs/cgroup/memory.max"); container >> limit) least = std::min(least, limit);
    if (const char* set = std::getenv("MLC_MEMORY"); set && std::strtoull(set, nullptr, 10) > 0)
      least = std::min<size_t>(least, std::strtoull(set, nullptr, 10));
    return least;
  }();
  return memory;
}

Bytes Bytes::allocate(size_t size) {
  if (size > machine_memory())
    throw RuntimeError("the data need " + format_bytes(static_cast<double>(size)) + "; there are " +
                       format_bytes(static_cast<double>(machine_memory())) + " of memory: take fewer rows (data.subset) or smaller ones");
  auto* memory = static_cast<std::byte*>(::operator new(size == 0 ? 1 : size, kAlignment, std::nothrow));
  if (!memory) throw RuntimeError("out of memory: " + std::to_string(size >> 20) + " MB are needed for data");
  return {std::shared_ptr<const std::byte>(memory, [](const std::byte* p) { ::operator delete(const_cast<std::byte*>(p), kAlignment); }),
          size};
}

Bytes Bytes::map(const std::string& path) {
  Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) fail(path, "open");
  struct stat info{};
  if (fstat(file.fd, &info) != 0) fail(path, "read");
  if (!S_ISREG(info.st_mode)) throw RuntimeError(path + ": is not a file");
  auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return allocate(0);
  void* memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (memory == MAP_FAILED) fail(path, "map");
  return {std::shared_ptr<const std::byte>(static_cast<const std::byte*>(memory),
                                           [size](const std::byte* p) { munmap(const_cast<std::byte*>(p), size); }),
          size};
}

Bytes Bytes::part(size_t offset, size_t size) const {
  ensure(offset <= size_ && size <= size_ - offset, "part of memory lies within it");
  return {std::shared_ptr<const std::byte>(data_, data_.get() + offset), size};
}

}  // namespace mlc
