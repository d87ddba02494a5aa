// NumPy's .npy files, versions 1 to 3. Format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
#pragma once
#include "runtime/store/safetensors.h"

#include <string>

namespace mlc {

/// The type that read_npy() will give, from the header alone.
Type npy_type(const std::string& path);
/// Reads an array in C order. Throws RuntimeError that starts with `path`: not a .npy file, cut off, Fortran order,
/// records, objects, text or complex numbers.
HostTensor read_npy(const std::string& path);
/// Writes an array atomically (version 1). bf16, which NumPy does not know, is written as f32.
void write_npy(const std::string& path, const Type& type, const void* data);

}  // namespace mlc
