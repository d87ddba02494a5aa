// Large zeroed blocks of memory straight from the system.
#pragma once
#include <cstdint>
#include <utility>

namespace mlc {

/// Zeroed memory, aligned to a page (4 KB), or to 2 MB with huge pages advised when it is at least that large. Memory
/// that is never touched costs nothing. Throws RuntimeError with the size when the system has none.
class Pages {
public:
  Pages() = default;
  explicit Pages(int64_t bytes);
  ~Pages();
  Pages(Pages&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  char* data() const { return data_; }
  int64_t size() const { return size_; }
  /// Gives the memory up: the caller frees it later by `adopt` and the destructor.
  char* release() {
    size_ = 0;
    return std::exchange(data_, nullptr);
  }
  static Pages adopt(char* data, int64_t bytes);

private:
  char* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace mlc
