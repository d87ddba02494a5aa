#include "compiler/base/initializer.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/hash.h"
#include "compiler/base/philox.h"

namespace mlc {

void initialize(const Initializer& init, const std::string& path, uint64_t seed, DType dtype, int64_t count, void* out) {
  auto stream = static_cast<uint32_t>(hash_bytes("init:" + path));
  auto value = [&](int64_t i) -> double {
    auto element = static_cast<uint32_t>(i);
    auto high = static_cast<uint32_t>(i >> 32);
    switch (init.kind) {
    case Initializer::Kind::constant: return init.a;
    case Initializer::Kind::uniform: {
      double u = philox_word(seed, stream, 0, high, element) * 0x1p-32;
      return (2 * u - 1) * init.a;
    }
    case Initializer::Kind::normal: return init.mean + init.a * philox_normal(seed, stream, 0, high, element);
    case Initializer::Kind::values: return init.values.at(static_cast<size_t>(i));
    }
    throw InternalError("unknown initializer");
  };
  ensure(dtype == DType::f32 || dtype == DType::i32, "state tensors are f32 or i32");
  for (int64_t i = 0; i < count; ++i) {
    if (dtype == DType::f32) static_cast<float*>(out)[i] = static_cast<float>(value(i));
    else static_cast<int32_t*>(out)[i] = static_cast<int32_t>(value(i));
  }
}

}  // namespace mlc
