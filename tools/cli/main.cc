#include "tools/cli/cli.h"

#include <cstdint>
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace {

// Passes make and drop graphs of megabytes. What is freed stays in the heap, whose first 64 MB lie in huge pages: a fault for each 2 MB
// that is touched, not for each 4 KB.
void prepare_heap() {
#ifdef __GLIBC__
  constexpr int kFirst = 64 << 20, kDefaultPad = 128 << 10;
  constexpr uintptr_t kHugePage = 2 << 20;
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_TOP_PAD, kFirst);
  auto before = reinterpret_cast<uintptr_t>(sbrk(0));
  void* volatile grown = std::malloc(1 << 20);
  std::free(grown);
  auto after = reinterpret_cast<uintptr_t>(sbrk(0));
  mallopt(M_TOP_PAD, kDefaultPad);
  uintptr_t begin = (before + kHugePage - 1) / kHugePage * kHugePage;
  if (begin < after) madvise(reinterpret_cast<void*>(begin), after - begin, MADV_HUGEPAGE);   // advice: a system without huge pages may say no
#endif
}

}  // namespace

int main(int argc, char** argv) {
  prepare_heap();
  return mlc::run_mlc(argc, argv);
}
