// Safetensors files: an 8-byte header length, a JSON header {name: {dtype, shape, data_offsets}}, then raw tensors.
// Format: huggingface.co/docs/safetensors.
#pragma once
#include "compiler/base/types.h"
#include "runtime/store/bytes.h"
#include "runtime/store/numbers.h"

#include <map>
#include <string>
#include <vector>

namespace mlc {

/// A tensor and its elements, row-major.
struct HostTensor {
  Type type;
  Bytes data;
};

class SafetensorsFile {
public:
  struct Entry {
    std::string name;
    NumberFormat format;
    Shape shape;
    size_t offset, size;  ///< in the file
  };

  /// Maps and checks the file: a header within the file, known formats, sizes that agree with shapes, tensors that neither
  /// overlap nor reach beyond the file. Throws RuntimeError that starts with `path`.
  explicit SafetensorsFile(const std::string& path);

  const std::vector<Entry>& entries() const { return entries_; }  ///< sorted by name
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Null where there is no such tensor.
  const Entry* find(const std::string& name) const;
  /// The type after conversion to an element type.
  Type type(const Entry& entry) const { return {element_type(entry.format), entry.shape}; }
  /// The tensor; shares the mapped memory where format and alignment allow, else a converted copy.
  HostTensor read(const Entry& entry) const;

private:
  std::string path_;
  Bytes file_;
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// A tensor to write; `data` is row-major and holds type.bytes() bytes.
struct TensorView {
  std::string name;
  Type type;
  const void* data;
};

/// Writes the tensors in the given order, atomically. The same tensors and metadata give the same bytes. Throws
/// RuntimeError (disk); InternalError when a name comes twice.
void write_safetensors(const std::string& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace mlc
