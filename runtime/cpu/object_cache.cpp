#include "runtime/cpu/object_cache.h"

#include "compiler/base/hash.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace mlc {
namespace {

namespace fs = std::filesystem;

// File: magic, checksum of the rest, then per object its length and bytes.
constexpr char kMagic[8] = {'m', 'l', 'c', 'o', 'b', 'j', '0', '1'};
constexpr size_t kHeader = sizeof kMagic + sizeof(uint64_t);

void put(std::string& out, uint64_t number) { out.append(reinterpret_cast<const char*>(&number), sizeof number); }

uint64_t number_at(const std::string& bytes, size_t at) {
  uint64_t number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in || in.tellg() < 0) return "";
  std::string bytes(static_cast<size_t>(in.tellg()), '\0');
  in.seekg(0);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return in ? bytes : "";
}

// Under a name of its own first, so that no reader ever sees a part of it.
void write_whole(const std::string& path, const std::string& bytes) {
  static std::atomic<int> counter{0};
  std::string temporary = path + "." + std::to_string(getpid()) + "." + std::to_string(counter.fetch_add(1)) + ".tmp";
  std::error_code ignored;
  std::ofstream out(temporary, std::ios::binary);
  out << bytes;
  out.close();
  if (out) fs::rename(temporary, path, ignored);
  if (!out || ignored) fs::remove(temporary, ignored);
}

}  // namespace

std::string default_cache_folder() {
  if (const char* set = std::getenv("MLC_CACHE")) return set;
  if (const char* set = std::getenv("XDG_CACHE_HOME"); set && *set) return std::string(set) + "/mlc";
  if (const char* home = std::getenv("HOME"); home && *home) return std::string(home) + "/.cache/mlc";
  return "";
}

std::string ObjectCache::path(uint64_t key, const char* extension) const { return folder_ + "/" + hash_hex(key) + extension; }

std::optional<std::vector<std::string>> ObjectCache::find(uint64_t key) const {
  if (folder_.empty()) return std::nullopt;
  std::string bytes = read_file(path(key, ".o"));
  if (bytes.size() < kHeader || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) return std::nullopt;
  if (number_at(bytes, sizeof kMagic) != hash_bytes(std::string_view(bytes).substr(kHeader), key)) return std::nullopt;
  std::vector<std::string> objects;
  for (size_t at = kHeader; at < bytes.size();) {
    uint64_t length = number_at(bytes, at);  // the checksum vouches for the lengths
    objects.push_back(bytes.substr(at + sizeof length, length));
    at += sizeof length + length;
  }
  return objects;
}

void ObjectCache::store(uint64_t key, const std::vector<std::string>& objects, const std::string& source) const {
  if (folder_.empty()) return;
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (failed) return;
  std::string body;
  for (const std::string& object : objects) {
    put(body, object.size());
    body += object;
  }
  std::string bytes(kMagic, sizeof kMagic);
  put(bytes, hash_bytes(body, key));
  write_whole(path(key, ".ll"), source);
  write_whole(path(key, ".o"), bytes + body);
  remove_oldest();
}

void ObjectCache::remove_oldest() const {
  struct Entry {
    fs::file_time_type time;
    int64_t bytes;
    fs::path path;
  };
  std::vector<Entry> entries;
  int64_t total = 0;
  std::error_code ignored;
  for (const fs::directory_entry& file : fs::directory_iterator(folder_, ignored)) {
    std::string extension = file.path().extension();
    if (extension != ".o" && extension != ".ll" && extension != ".tmp") continue;
    Entry entry{file.last_write_time(ignored), static_cast<int64_t>(file.file_size(ignored)), file.path()};
    if (ignored) continue;  // another process removed it
    total += entry.bytes;
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.time < b.time; });
  for (size_t i = 0; i < entries.size() && total > limit_; ++i) {
    total -= entries[i].bytes;
    fs::remove(entries[i].path, ignored);
  }
}

}  // namespace mlc
