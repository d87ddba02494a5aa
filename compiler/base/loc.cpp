#include "compiler/base/loc.h"

namespace mlc {

uint32_t Sources::add(std::string name, std::string text) {
  File file{std::move(name), std::move(text), {0}};
  for (size_t i = 0; i < file.text.size(); ++i)
    if (file.text[i] == '\n') file.starts.push_back(i + 1);
  files_.push_back(std::move(file));
  return static_cast<uint32_t>(files_.size());
}

const std::string& Sources::name(uint32_t file) const { return files_.at(file - 1).name; }
const std::string& Sources::text(uint32_t file) const { return files_.at(file - 1).text; }

std::string_view Sources::line(uint32_t file, uint32_t line) const {
  if (file == 0 || file > files_.size()) return {};
  const File& f = files_[file - 1];
  if (line == 0 || line > f.starts.size()) return {};
  size_t begin = f.starts[line - 1], end = line < f.starts.size() ? f.starts[line] - 1 : f.text.size();
  if (end > begin && f.text[end - 1] == '\r') --end;
  return std::string_view(f.text).substr(begin, end - begin);
}

}  // namespace mlc
