#include "runtime/store/npy.h"

#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "runtime/store/atomic_file.h"

#include <array>
#include <bit>
#include <cctype>
#include <cstring>

namespace mlc {

namespace {

struct Header {
  NumberFormat format = NumberFormat::f32;
  bool big_endian = false;
  Shape shape;
  size_t data = 0;  // byte offset of the numbers
};

struct Descriptor {
  const char* text;
  NumberFormat format;
};
constexpr Descriptor kDescriptors[] = {{"b1", NumberFormat::boolean}, {"u1", NumberFormat::u8},  {"i1", NumberFormat::i8},
                                       {"u2", NumberFormat::u16},     {"i2", NumberFormat::i16}, {"u4", NumberFormat::u32},
                                       {"i4", NumberFormat::i32},     {"u8", NumberFormat::u64}, {"i8", NumberFormat::i64},
                                       {"f2", NumberFormat::f16},     {"f4", NumberFormat::f32}, {"f8", NumberFormat::f64}};

/// Reads the Python dictionary of a header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderParser {
public:
  HeaderParser(const std::string& path, std::string_view text) : path_(path), rest_(text) {}

  Header parse() {
    Header out;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      std::string key = quoted();
      expect(':');
      if (key == "descr" && !descr) {
        descr = true;
        descriptor(out);
      } else if (key == "fortran_order" && !order) {
        order = true;
        if (word() == "True") throw RuntimeError(path_ + ": is stored in Fortran order; save it with numpy.ascontiguousarray(a)");
      } else if (key == "shape" && !shape) {
        shape = true;
        out.shape = tuple();
      } else {
        fail();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!descr || !order || !shape || !trim(rest_).empty()) fail();
    return out;
  }

private:
  [[noreturn]] void fail() const { throw RuntimeError(path_ + ": the header of this .npy file is damaged"); }
  void skip_blanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_blanks();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail();
  }
  std::string quoted() {
    skip_blanks();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) fail();
    size_t end = rest_.find(rest_[0], 1);
    if (end == std::string_view::npos) fail();
    std::string out(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return out;
  }
  std::string word() {
    skip_blanks();
    size_t n = 0;
    while (n < rest_.size() && std::isalpha(static_cast<unsigned char>(rest_[n]))) ++n;
    std::string out(rest_.substr(0, n));
    if (out != "True" && out != "False") fail();
    rest_.remove_prefix(n);
    return out;
  }
  Shape tuple() {
    Shape out;
    expect('(');
    while (!accept(')')) {
      skip_blanks();
      size_t n = rest_.find_first_not_of("0123456789");
      auto extent = parse_integer(rest_.substr(0, n));
      if (!extent || out.size() == 32) fail();
      out.push_back(*extent);
      rest_.remove_prefix(n == std::string_view::npos ? rest_.size() : n);
      accept('L');  // written by Python 2
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }
  void descriptor(Header& out) {
    skip_blanks();
    if (!rest_.empty() && rest_[0] == '[') throw RuntimeError(path_ + ": holds records; save each field as an array of its own");
    std::string text = quoted();
    std::string_view type = text;
    if (type.find_first_of("<>|=") == 0) {
      out.big_endian = type[0] == '>';
      type.remove_prefix(1);
    }
    for (const Descriptor& known : kDescriptors)
      if (type == known.text) {
        out.format = known.format;
        return;
      }
    throw RuntimeError(path_ + ": holds elements of the NumPy type '" + text + "', which are not numbers mlc reads");
  }

  const std::string& path_;
  std::string_view rest_;
};

Header read_header(const std::string& path, const Bytes& file) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  if (!starts_with(bytes, kMagic)) throw RuntimeError(path + ": is not a .npy file");
  size_t begin = bytes.size() > 6 && bytes[6] == 1 ? 10 : 12;
  if (bytes.size() < begin) throw RuntimeError(path + ": is cut off");
  if (bytes[6] < 1 || bytes[6] > 3) throw RuntimeError(path + ": is of an unknown version of the .npy format");
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, begin - 8);
  if (length > bytes.size() - begin) throw RuntimeError(path + ": is cut off");
  Header header = HeaderParser(path, bytes.substr(begin, length)).parse();
  header.data = begin + length;
  uint64_t size = static_cast<uint64_t>(format_bytes_of(header.format));
  for (int64_t extent : header.shape)
    if (__builtin_mul_overflow(size, static_cast<uint64_t>(extent), &size))
      throw RuntimeError(path + ": has the impossible shape " + format_shape(header.shape));
  if (bytes.size() - header.data != size)
    throw RuntimeError(path + ": shape " + format_shape(header.shape) + " needs " + std::to_string(size) + " bytes and the file has " +
                       std::to_string(bytes.size() - header.data));
  return header;
}

const char* descriptor_of(DType dtype) {
  switch (dtype) {
  case DType::f32:
  case DType::bf16: return "<f4";
  case DType::i32: return "<i4";
  case DType::i64: return "<i8";
  case DType::u8: return "|u1";
  case DType::boolean: return "|b1";
  }
  throw InternalError("element type is known");
}

}  // namespace

Type npy_type(const std::string& path) {
  Header header = read_header(path, Bytes::map(path));
  return {element_type(header.format), header.shape};
}

HostTensor read_npy(const std::string& path) {
  Bytes file = Bytes::map(path);
  Header header = read_header(path, file);
  Type type{element_type(header.format), header.shape};
  bool same = dtype_bytes(type.dtype) == format_bytes_of(header.format) && !header.big_endian && header.format != NumberFormat::boolean &&
              header.format != NumberFormat::u64;
  if (same && header.data % static_cast<size_t>(dtype_bytes(type.dtype)) == 0)
    return {type, file.part(header.data, static_cast<size_t>(type.bytes()))};
  Bytes copy = Bytes::allocate(static_cast<size_t>(type.bytes()));
  if (!convert_numbers(header.format, header.big_endian, file.data() + header.data, static_cast<size_t>(type.elements()), copy.writable()))
    throw RuntimeError(path + ": holds numbers beyond 64-bit signed integers");
  return {type, copy};
}

void write_npy(const std::string& path, const Type& type, const void* data) {
  std::string shape;
  for (int64_t extent : type.shape) shape += std::to_string(extent) + ", ";
  if (type.shape.size() > 1) shape.erase(shape.size() - 2);
  std::string text = "{'descr': '" + std::string(descriptor_of(type.dtype)) + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  std::string head("\x93NUMPY\x01\x00", 8);
  head += static_cast<char>(text.size() & 255);
  head += static_cast<char>(text.size() >> 8);

  std::vector<float> wide;
  std::string_view body(static_cast<const char*>(data), static_cast<size_t>(type.bytes()));
  if (type.dtype == DType::bf16) {
    wide.resize(static_cast<size_t>(type.elements()));
    for (size_t i = 0; i < wide.size(); ++i) {
      uint16_t half;
      std::memcpy(&half, body.data() + 2 * i, 2);
      wide[i] = std::bit_cast<float>(uint32_t{half} << 16);
    }
    body = {reinterpret_cast<const char*>(wide.data()), wide.size() * sizeof(float)};
  }
  std::array<std::string_view, 3> pieces{head, text, body};
  write_file(path, pieces);
}

}  // namespace mlc
