// Compiled programs on disk. Safe with any number of readers and writers: files appear whole under their name (rename),
// carry a checksum, and are functions of their key alone.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlc {

/// $MLC_CACHE, $XDG_CACHE_HOME/mlc or ~/.cache/mlc; empty when there is no home.
std::string default_cache_folder();

class ObjectCache {
public:
  /// An empty folder name: no cache. The folder is made at the first store. Beyond `limit` bytes, store removes the
  /// oldest entries.
  explicit ObjectCache(std::string folder, int64_t limit = int64_t{512} << 20) : folder_(std::move(folder)), limit_(limit) {}

  /// The objects stored under this key; nothing when there are none or the file is damaged.
  std::optional<std::vector<std::string>> find(uint64_t key) const;
  /// `source` is for people: it lies beside the object as KEY.ll. A cache that cannot be written is no error.
  void store(uint64_t key, const std::vector<std::string>& objects, const std::string& source) const;

private:
  std::string path(uint64_t key, const char* extension) const;
  void remove_oldest() const;

  std::string folder_;
  int64_t limit_;
};

}  // namespace mlc
