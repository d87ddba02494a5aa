// Memory that columns and tensors live in: allocated, or a part of a mapped file. Copies share it.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

namespace mlc {

/// What the process may use: the machine's memory, the container's limit, or less where $MLC_MEMORY (bytes) says so.
size_t machine_memory();

class Bytes {
public:
  Bytes() = default;
  /// Uninitialised memory, aligned to 64 bytes. Throws RuntimeError for more than machine_memory().
  static Bytes allocate(size_t size);
  /// Maps a file for reading. Throws RuntimeError. The file must not shrink while it is mapped.
  static Bytes map(const std::string& path);

  const std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }
  /// Requires memory made by allocate() that nobody else shares yet.
  std::byte* writable() { return const_cast<std::byte*>(data_.get()); }
  /// A part that keeps the whole alive. Requires offset + size <= size().
  Bytes part(size_t offset, size_t size) const;

private:
  Bytes(std::shared_ptr<const std::byte> data, size_t size) : data_(std::move(data)), size_(size) {}
  std::shared_ptr<const std::byte> data_;
  size_t size_ = 0;
};

}  // namespace mlc
