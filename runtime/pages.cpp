#include "runtime/pages.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"

#include <sys/mman.h>

namespace mlc {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

}  // namespace

Pages::Pages(int64_t bytes) : size_(bytes) {
  if (bytes <= 0) {
    size_ = 0;
    return;
  }
  // The system aligns to 4 KB only: map one huge page more and cut both ends.
  int64_t slack = bytes >= kHugePage ? kHugePage : 0;
  size_t mapped = static_cast<size_t>(bytes + slack);
  void* block = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) throw RuntimeError("cannot get " + format_bytes(static_cast<double>(bytes)) + " of memory; try a smaller batch");
  data_ = static_cast<char*>(block);
  if (slack == 0) return;
  int64_t misfit = static_cast<int64_t>(reinterpret_cast<uintptr_t>(data_) % kHugePage);
  int64_t skip = misfit == 0 ? 0 : kHugePage - misfit;
  int64_t page = 4096, used = (bytes + page - 1) / page * page, tail = bytes + slack - skip - used;
  if (skip > 0) munmap(data_, static_cast<size_t>(skip));
  data_ += skip;
  if (tail > 0) munmap(data_ + used, static_cast<size_t>(tail));
  madvise(data_, static_cast<size_t>(used), MADV_HUGEPAGE);  // advice: a system without huge pages may say no
}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(size_));
}

Pages Pages::adopt(char* data, int64_t bytes) {
  Pages pages;
  pages.data_ = data;
  pages.size_ = bytes;
  return pages;
}

}  // namespace mlc
