// IDX files, gzip or not: the header's shape and the elements.
#include "runtime/data/idx.h"

#include "tests/fuzz/fuzz.h"

#include <vector>

using namespace mlc;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemoryFile file(data, size);
  answers([&] {
    int64_t elements = 1;
    for (int64_t extent : idx_shape(file.path()))
      if (extent < 0 || __builtin_mul_overflow(elements, extent, &elements)) throw InternalError("idx: a shape without a size");
    if (elements > (int64_t{1} << 24)) return;
    std::vector<std::byte> to(static_cast<size_t>(elements));
    read_idx(file.path(), to.data());
  });
  return 0;
}
