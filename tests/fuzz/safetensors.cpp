// Safetensors: the header, and every tensor read and summed, so that each byte is touched.
#include "runtime/store/safetensors.h"

#include "tests/fuzz/fuzz.h"

using namespace mlc;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemoryFile file(data, size);
  answers([&] {
    SafetensorsFile tensors(file.path());
    for (const auto& entry : tensors.entries())
      answers([&] {
        HostTensor t = tensors.read(entry);
        if (t.data.size() < static_cast<size_t>(t.type.bytes())) throw InternalError("a tensor has less bytes than its type");
        volatile unsigned sum = 0;
        for (size_t i = 0; i < t.data.size(); ++i) sum = sum + static_cast<unsigned>(t.data.data()[i]);
      });
  });
  return 0;
}
