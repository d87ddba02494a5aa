#include "runtime/data/named.h"

#include "runtime/data/dataset.h"

#include <cstdlib>
#include <filesystem>

namespace mlc {

namespace fs = std::filesystem;

const std::vector<Known>& known_datasets() {
  static const std::vector<Known> table = {
      {"mnist", true, "", {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, {}, 255},
      {"fashion_mnist",
       true,
       "",
       {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
       {},
       255},
      {"iris", false, "species", {"setosa", "versicolor", "virginica"}, {}, 1},
      {"breast_cancer", false, "diagnosis", {"malignant", "benign"}, {}, 1},
      {"wine", false, "cultivar", {"class_0", "class_1", "class_2"}, {}, 1},
      {"digits", false, "digit", {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, {1, 8, 8}, 16},
      {"diabetes", false, "progression", {}, {}, 1},
  };
  return table;
}

std::string existing_file(const std::string& path) {
  std::error_code fault;
  for (const char* ending : {"", ".gz"})
    if (fs::is_regular_file(path + ending, fault)) return path + ending;
  return "";
}

std::optional<Schema> known_schema(const std::string& dataset) {
  for (const Known& k : known_datasets())
    if ((k.images || !k.shape.empty()) && dataset == k.name) {
      ColumnSchema x{.name = "x", .type = {DType::u8, k.images ? Shape{1, 28, 28} : k.shape}, .range = k.range};
      ColumnSchema y{.name = "y", .type = {DType::i32, {}}, .target = true, .meaning = ColumnSchema::Meaning::index, .classes = k.classes};
      return Schema{.dataset = dataset, .columns = {x, y}};
    }
  return std::nullopt;
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> out;
  for (const Known& k : known_datasets()) out.push_back(k.name);
  return out;
}

std::string bundled_folder() {
  if (const char* set = std::getenv("MLC_TABLES")) return set;
  std::error_code fault;
  fs::path program = fs::read_symlink("/proc/self/exe", fault);
  for (const char* place : {"../../specs/data", "../specs/data", "../share/mlc/data", "../../../specs/data"})
    if (fs::path folder = program.parent_path() / place; fs::is_directory(folder, fault))
      return fs::weakly_canonical(folder, fault).string();
  return "specs/data";
}

}  // namespace mlc
