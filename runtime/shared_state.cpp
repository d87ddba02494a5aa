#include "compiler/base/diagnostics.h"
#include "runtime/device.h"
#include "runtime/pages.h"

#include <cstring>

namespace mlc {
namespace {

void check_range(int64_t offset, int64_t bytes, int64_t size) {
  ensure(offset >= 0 && bytes >= 0 && offset <= size - bytes, "state: access outside of the state arena");
}

}  // namespace

SharedState::SharedState(int64_t bytes) : data_(Pages(bytes).release()), size_(bytes) {}

SharedState::~SharedState() { Pages::adopt(data_, size_); }

void SharedState::read(int64_t offset, void* to, int64_t bytes) const {
  check_range(offset, bytes, size_);
  if (bytes > 0) std::memcpy(to, data_ + offset, static_cast<size_t>(bytes));
}

void SharedState::write(int64_t offset, const void* from, int64_t bytes) {
  check_range(offset, bytes, size_);
  if (bytes > 0) std::memcpy(data_ + offset, from, static_cast<size_t>(bytes));
}

}  // namespace mlc
