#include "runtime/store/atomic_file.h"

#include "compiler/base/diagnostics.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mlc {

namespace {

/// A file under a temporary name that vanishes unless it is published.
class TemporaryFile {
public:
  explicit TemporaryFile(const std::string& path) : path_(path), temporary_(path + ".tmp-XXXXXX") {
    fd_ = mkstemp(temporary_.data());
    if (fd_ < 0) fail();
  }
  ~TemporaryFile() {
    if (fd_ >= 0) close(fd_);
    if (!published_) unlink(temporary_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail();
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  void publish() {
    // mkstemp makes the file private to the user; what a run writes is as readable as any other file.
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(fd_, 0666 & ~mask) != 0 || fsync(fd_) != 0) fail();
    if (rename(temporary_.c_str(), path_.c_str()) != 0) fail();
    published_ = true;
  }

private:
  [[noreturn]] void fail() const { throw RuntimeError(path_ + ": cannot write: " + std::strerror(errno)); }
  std::string path_, temporary_;
  int fd_ = -1;
  bool published_ = false;
};

}  // namespace

void write_file(const std::string& path, std::span<const std::string_view> pieces) {
  TemporaryFile file(path);
  for (std::string_view piece : pieces) file.write(piece);
  file.publish();
}

void write_file(const std::string& path, std::string_view text) { write_file(path, std::span(&text, 1)); }

}  // namespace mlc
