// NumPy arrays: the header's type and the elements.
#include "runtime/store/npy.h"

#include "tests/fuzz/fuzz.h"

using namespace mlc;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemoryFile file(data, size);
  answers([&] { npy_type(file.path()); });
  answers([&] {
    HostTensor t = read_npy(file.path());
    if (t.data.size() < static_cast<size_t>(t.type.bytes())) throw InternalError("an array has less bytes than its type");
    volatile unsigned sum = 0;
    for (size_t i = 0; i < t.data.size(); ++i) sum = sum + static_cast<unsigned>(t.data.data()[i]);
  });
  return 0;
}
