// What the fuzz targets share: input as a file, and which exceptions are answers.
#pragma once
#include "compiler/base/diagnostics.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace mlc {

/// A file in memory that holds the input, under a path that opens like any other.
class MemoryFile {
public:
  MemoryFile(const uint8_t* data, size_t size) : file_(memfd_create("input", 0)) {
    if (file_ < 0 || write(file_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(file_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

private:
  int file_;
};

/// SpecError and RuntimeError say that the input is at fault. Everything else (InternalError, bad_alloc, ...) is a finding.
template <class F> void answers(F f) {
  try {
    f();
  } catch (const SpecError&) {
  } catch (const RuntimeError&) {}
}

}  // namespace mlc
