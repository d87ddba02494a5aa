#include "runtime/store/safetensors.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "runtime/store/atomic_file.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

namespace mlc {

namespace {

using Json = nlohmann::ordered_json;

// The limit of the reference implementation; it also bounds what a damaged length can make us parse.
constexpr uint64_t kMaxHeader = 100'000'000;

struct FormatName {
  const char* name;
  NumberFormat format;
};
constexpr FormatName kFormats[] = {{"F32", NumberFormat::f32},     {"F64", NumberFormat::f64}, {"F16", NumberFormat::f16},
                                   {"BF16", NumberFormat::bf16},   {"I64", NumberFormat::i64}, {"I32", NumberFormat::i32},
                                   {"I16", NumberFormat::i16},     {"I8", NumberFormat::i8},   {"U64", NumberFormat::u64},
                                   {"U32", NumberFormat::u32},     {"U16", NumberFormat::u16}, {"U8", NumberFormat::u8},
                                   {"BOOL", NumberFormat::boolean}};

const char* format_name(DType dtype) {
  switch (dtype) {
  case DType::f32: return "F32";
  case DType::bf16: return "BF16";
  case DType::i32: return "I32";
  case DType::i64: return "I64";
  case DType::u8: return "U8";
  case DType::boolean: return "BOOL";
  }
  throw InternalError("element type is known");
}

/// Checks header entries one by one; every fault names the file and the tensor.
class HeaderReader {
public:
  HeaderReader(const std::string& path, size_t data_begin, size_t data_size) : path_(path), begin_(data_begin), size_(data_size) {}

  SafetensorsFile::Entry entry(const std::string& name, const Json& json) const {
    if (!json.is_object()) fail(name, "is not described by an object");
    SafetensorsFile::Entry out{.name = name, .format = format(name, json), .shape = shape(name, json), .offset = 0, .size = 0};
    auto offsets = json.find("data_offsets");
    if (offsets == json.end() || !offsets->is_array() || offsets->size() != 2 || !(*offsets)[0].is_number_unsigned() ||
        !(*offsets)[1].is_number_unsigned())
      fail(name, "has no data_offsets of two positions");
    auto from = (*offsets)[0].get<uint64_t>(), to = (*offsets)[1].get<uint64_t>();
    if (from > to || to > size_)
      fail(name, "lies at bytes " + std::to_string(from) + ".." + std::to_string(to) + " of " + std::to_string(size_));
    uint64_t bytes = static_cast<uint64_t>(format_bytes_of(out.format));
    for (int64_t extent : out.shape)
      if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) fail(name, "has an impossible shape");
    if (to - from != bytes)
      fail(name, "of shape " + format_shape(out.shape) + " needs " + std::to_string(bytes) + " bytes and has " + std::to_string(to - from));
    out.offset = begin_ + from;
    out.size = bytes;
    return out;
  }

private:
  [[noreturn]] void fail(const std::string& name, const std::string& what) const {
    throw RuntimeError(path_ + ": tensor '" + name + "' " + what);
  }
  NumberFormat format(const std::string& name, const Json& json) const {
    auto dtype = json.find("dtype");
    if (dtype == json.end() || !dtype->is_string()) fail(name, "has no dtype");
    for (const FormatName& known : kFormats)
      if (*dtype == known.name) return known.format;
    fail(name, "has the unknown dtype " + dtype->get<std::string>());
  }
  Shape shape(const std::string& name, const Json& json) const {
    auto extents = json.find("shape");
    if (extents == json.end() || !extents->is_array()) fail(name, "has no shape");
    Shape out;
    for (const Json& extent : *extents) {
      if (!extent.is_number_unsigned() || extent.get<uint64_t>() > uint64_t{1} << 62) fail(name, "has an impossible shape");
      out.push_back(extent.get<int64_t>());
    }
    return out;
  }

  const std::string& path_;
  size_t begin_, size_;
};

/// Parses the header; a name that comes twice is an error, which the JSON library itself does not see.
Json parse_header(const std::string& path, std::string_view text) {
  std::set<std::string> names;
  std::string twice;
  int too_deep = 0;
  auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > 8) ++too_deep;
    if (event == Json::parse_event_t::key && depth == 1 && !names.insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return depth <= 8;
  };
  Json header = Json::parse(text, watch, false);
  if (header.is_discarded() || !header.is_object() || too_deep > 0)
    throw RuntimeError(path + ": is not a safetensors file: its header is not a JSON object");
  if (!twice.empty()) throw RuntimeError(path + ": tensor '" + twice + "' comes twice");
  return header;
}

void check_overlap(const std::string& path, const std::vector<SafetensorsFile::Entry>& entries) {
  std::vector<const SafetensorsFile::Entry*> order;
  for (const auto& entry : entries)
    if (entry.size > 0) order.push_back(&entry);
  std::ranges::sort(order, {}, &SafetensorsFile::Entry::offset);
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i]->offset < order[i - 1]->offset + order[i - 1]->size)
      throw RuntimeError(path + ": tensors '" + order[i - 1]->name + "' and '" + order[i]->name + "' overlap");
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path), file_(Bytes::map(path)) {
  uint64_t length = 0;
  if (file_.size() < sizeof(length)) throw RuntimeError(path + ": is too short for a safetensors file");
  std::memcpy(&length, file_.data(), sizeof(length));
  if (length > kMaxHeader || length > file_.size() - sizeof(length))
    throw RuntimeError(path + ": is not a safetensors file, or is cut off: its header should have " + std::to_string(length) + " bytes");
  const char* text = reinterpret_cast<const char*>(file_.data()) + sizeof(length);
  Json header = parse_header(path, {text, length});
  HeaderReader reader(path, sizeof(length) + length, file_.size() - sizeof(length) - length);
  for (const auto& [name, json] : header.items()) {
    if (name != "__metadata__") {
      entries_.push_back(reader.entry(name, json));
      continue;
    }
    if (!json.is_object()) throw RuntimeError(path + ": __metadata__ is not an object");
    for (const auto& [key, value] : json.items()) {
      if (!value.is_string()) throw RuntimeError(path + ": __metadata__ holds something else than text at '" + key + "'");
      metadata_[key] = value.get<std::string>();
    }
  }
  std::ranges::sort(entries_, {}, &Entry::name);
  check_overlap(path, entries_);
}

const SafetensorsFile::Entry* SafetensorsFile::find(const std::string& name) const {
  auto at = std::ranges::lower_bound(entries_, name, {}, &Entry::name);
  return at != entries_.end() && at->name == name ? &*at : nullptr;
}

HostTensor SafetensorsFile::read(const Entry& entry) const {
  Type wanted = type(entry);
  auto element = static_cast<size_t>(dtype_bytes(wanted.dtype));
  bool same = dtype_bytes(wanted.dtype) == format_bytes_of(entry.format) && entry.format != NumberFormat::boolean &&
              entry.format != NumberFormat::u64;
  if (same && entry.offset % element == 0) return {wanted, file_.part(entry.offset, entry.size)};
  Bytes copy = Bytes::allocate(static_cast<size_t>(wanted.bytes()));
  if (!convert_numbers(entry.format, false, file_.data() + entry.offset, static_cast<size_t>(wanted.elements()), copy.writable()))
    throw RuntimeError(path_ + ": tensor '" + entry.name + "' holds numbers beyond 64-bit signed integers");
  return {wanted, copy};
}

void write_safetensors(const std::string& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    ensure(!header.contains(tensor.name), "names of written tensors differ");
    int64_t end = offset + tensor.type.bytes();
    header[tensor.name] = {{"dtype", format_name(tensor.type.dtype)}, {"shape", tensor.type.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  uint64_t length = text.size();
  std::vector<std::string_view> pieces{{reinterpret_cast<const char*>(&length), sizeof(length)}, text};
  for (const TensorView& tensor : tensors)
    pieces.emplace_back(static_cast<const char*>(tensor.data), static_cast<size_t>(tensor.type.bytes()));
  write_file(path, pieces);
}

}  // namespace mlc
