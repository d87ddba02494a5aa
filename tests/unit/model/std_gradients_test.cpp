// Every function, block and transform of the standard library against central differences, and every entry in a parity fixture.
#include "compiler/model/library.h"
#include "compiler/model/model.h"
#include "compiler/model/std_files.h"
#include "compiler/spec/spec.h"
#include "compiler/spec/yaml.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

namespace mlc {
namespace {

// How an entry is used. A function: a formula over x, what precedes it, and y; a block or transform: an item on a sample of `shape`.
struct Use {
  std::string text;
  Shape shape = {4, 6};
  Type target = {DType::f32, {4, 6}};
  DType input = DType::f32;
};

const Type kIndices = {DType::i32, {4}}, kBits = {DType::u8, {4, 6}};

// Entries that `NAME(x)` or `- NAME` does not use. An entry with a single argument needs no row here.
const std::map<std::string, Use> kUses = {
    {"adaptive_avg_pool2d", {"adaptive_avg_pool2d(reshape(x, [2, 3, 4]), 2)"}},
    {"adaptive_avg_pool1d", {"adaptive_avg_pool1d(x, 4)"}},
    {"adaptive_max_pool1d", {"adaptive_max_pool1d(x, 4)"}},
    {"adaptive_max_pool2d", {"adaptive_max_pool2d(reshape(x, [2, 3, 4]), 2)"}},
    {"avg_pool1d", {"avg_pool1d(x, 3, padding=1)"}},
    {"avg_pool2d", {"avg_pool2d(reshape(x, [2, 3, 4]), 2)"}},
    {"avg_pool3d", {"avg_pool3d(reshape(x, [2, 2, 2, 3]), 2)"}},
    {"affine_grid", {"affine_grid(reshape(slice(x, 0, 0, 1), [2, 3]), [1, 3, 4])"}},
    {"attention", {"attention: {heads: 2, causal: true, positions: none}"}},
    {"bce", {"bce(sigmoid(x), y)", {4, 6}, kBits}},
    {"bce_with_logits", {"bce_with_logits(x, y, pos_weight=2)", {4, 6}, kBits}},
    {"center_crop", {"center_crop: [2, 3]", {2, 4, 4}}},
    {"channel_shuffle", {"channel_shuffle(x, 2)"}},
    {"clamp", {"clamp(x, low=-0.3, high=0.8)"}},
    {"color_jitter", {"color_jitter: {brightness: 0.3, contrast: 0.4, saturation: 0.5, hue: 0.1}", {3, 3, 4}}},
    {"conv1d", {"conv1d: {out: 3, kernel: 3, padding: 1}", {2, 6}}},
    {"conv2d", {"conv2d: {out: 4, kernel: 3, stride: 2, padding: 1, groups: 2, padding_mode: reflect}", {2, 5, 5}}},
    {"conv3d", {"conv3d: {out: 2, kernel: 2}", {2, 3, 3, 3}}},
    {"conv_transpose1d", {"conv_transpose1d: {out: 3, kernel: 3, stride: 2}", {2, 4}}},
    {"conv_transpose2d", {"conv_transpose2d: {out: 2, kernel: 3, stride: 2, padding: 1}", {2, 3, 3}}},
    {"conv_transpose3d", {"conv_transpose3d: {out: 2, kernel: 2, stride: 2}", {2, 2, 2, 2}}},
    {"cosine_embedding", {"cosine_embedding(x, y, 1) + cosine_embedding(x, sin(x), -1)"}},
    {"cosine_similarity", {"cosine_similarity(x, y)"}},
    {"cross_entropy", {"cross_entropy(x, y, weight=[1, 2, 3, 4, 5, 6], label_smoothing=0.1, ignore_index=2)", {4, 6}, kIndices}},
    {"cross_attention", {"{cross_attention: {heads: 2}, from: [x, x]}"}},
    {"dice", {"dice(sigmoid(x), y)", {4, 6}, kBits}},
    {"dropout", {"dropout(x, 0.4)"}},
    {"dropout2d", {"dropout2d(reshape(x, [2, 3, 4]), 0.4)"}},
    {"embedding", {"embedding: {num_embeddings: 5, embedding_dim: 3}", {4}, {DType::f32, {4, 3}}, DType::i32}},
    {"focal", {"focal(x, y, gamma=1.5)", {4, 6}, kBits}},
    {"global_avg_pool", {"global_avg_pool(reshape(x, [2, 3, 4]))"}},
    {"global_max_pool", {"global_max_pool(reshape(x, [2, 3, 4]))"}},
    {"grayscale", {"grayscale: 3", {3, 2, 3}}},
    {"grid_sample", {"grid_sample(reshape(x, [2, 3, 4]), reshape(x, [3, 4, 2]) * 0.7)"}},
    {"group_norm", {"group_norm: 2", {4, 6}}},
    {"hinge", {"hinge(x, y)", {4, 6}, kBits}},
    {"huber", {"huber(x, y)"}},
    {"kl_div", {"kl_div(log_softmax(x), y, log_target=true)"}},
    {"l1", {"l1(x, y)"}},
    {"linear", {"linear: 3"}},
    {"local_response_norm", {"local_response_norm(x, 3, alpha=0.5)"}},
    {"max_pool1d", {"max_pool1d(x, 2)"}},
    {"max_pool2d", {"max_pool2d(reshape(x, [2, 3, 4]), 2, 1)"}},
    {"max_pool3d", {"max_pool3d(reshape(x, [2, 2, 2, 3]), 2, 1)"}},
    {"mse", {"mse(x, y)"}},
    {"nll", {"nll(log_softmax(x), y, weight=[1, 2, 3, 4, 5, 6])", {4, 6}, kIndices}},
    {"normalize", {"normalize: {mean: [0.1, 0.2], std: [0.5, 2]}", {2, 3}}},
    {"one_hot", {"x * one_hot(y, 6)", {4, 6}, kIndices}},
    {"pairwise_distance", {"pairwise_distance(x, y, p=3)"}},
    {"pixel_shuffle", {"pixel_shuffle(reshape(x, [4, 2, 3]), 2)"}},
    {"pixel_unshuffle", {"pixel_unshuffle(reshape(x, [1, 4, 6]), 2)"}},
    {"prelu", {"prelu: {num_parameters: 4, start: 0.2}"}},
    {"random_affine", {"random_affine: {degrees: 20, translate: [0.1, 0.2], scale: [0.8, 1.2], shear: 5, mode: bilinear}", {2, 4, 5}}},
    {"random_crop", {"random_crop: {size: 4, padding: 1}", {2, 4, 5}}},
    {"random_erasing", {"random_erasing: 0.9", {2, 4, 5}}},
    {"random_flip", {"random_flip: {horizontal: 0.5, vertical: 0.5}", {2, 3, 4}}},
    {"random_rotation", {"random_rotation: {degrees: 40, mode: bilinear}", {2, 4, 5}}},
    {"scale", {"scale: 0.3"}},
    {"scaled_dot_product_attention", {"scaled_dot_product_attention(x, sin(x), x * y, causal=true)"}},
    {"smooth_l1", {"smooth_l1(x, y, beta=0.5)"}},
    {"stochastic_depth", {"stochastic_depth(x, 0.4)"}},
    {"threshold", {"threshold(x, 0.3, 0.1)"}},
    {"transformer_block", {"transformer_block: {heads: 2, mlp_ratio: 2, positions: none}"}},
    {"triplet", {"triplet(x, y, sin(x), swap=true)"}},
    {"upsample", {"upsample(reshape(x, [2, 3, 4]), 2, \"bilinear\")"}},
    {"warp", {"warp(reshape(x, [2, 3, 4]), reshape(slice(x, 0, 0, 1), [2, 3]), \"bilinear\")"}},
};

Schema schema_of(const Use& use) {
  ColumnSchema x, y;
  x.name = "x", x.type = {use.input, use.shape};
  x.meaning = use.input == DType::i32 ? ColumnSchema::Meaning::free : ColumnSchema::Meaning::number;
  y.name = "y", y.target = true, y.type = use.target;
  y.meaning = use.target.dtype == DType::i32 ? ColumnSchema::Meaning::index : ColumnSchema::Meaning::number;
  if (y.meaning == ColumnSchema::Meaning::index) y.classes = {"a", "b", "c", "d", "e", "f"};
  return {"test", {x, y}, {}};
}

// Rows of a column: normal numbers, bits, or indices below 5.
std::vector<char> column(const Type& type, int64_t rows, std::mt19937& random) {
  std::vector<char> out(static_cast<size_t>(rows * type.bytes()));
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < rows * type.elements(); ++i) {
    if (type.dtype == DType::f32) reinterpret_cast<float*>(out.data())[i] = normal(random);
    else if (type.dtype == DType::i32) reinterpret_cast<int32_t*>(out.data())[i] = static_cast<int32_t>(random() % 5);
    else out[static_cast<size_t>(i)] = static_cast<char>(random() & 1);
  }
  return out;
}

// Nothing that is trained stands before a transform: the file of it with its transforms as blocks, which take gradients.
std::string as_blocks(const std::string& name) {
  for (const StdFile& file : std_files()) {
    std::string text = file.text;
    size_t section = text.find("\ntransforms:\n");
    if (section == std::string::npos || text.find("\n  " + name + "(", section) == std::string::npos) continue;
    text.replace(section, 13, "\nblocks:\n");
    for (const std::string fitted = "    fit: true\n"; text.find(fitted) != std::string::npos;)
      text.erase(text.find(fitted), fitted.size());
    return text + "  under_test():\n    - ";
  }
  return "";
}

std::string spec_of(const std::string& name, DefinitionKind kind, const Use& use) {
  const char* train = "train: {epochs: 1, batch_size: 4, loss: \"mean(output * sin(output + 1))\", optimizer: sgd}\n";
  std::string text = use.text.empty() ? kind == DefinitionKind::function ? name + "(x)" : name : use.text;
  if (kind == DefinitionKind::transform) return "data: {}\n" + as_blocks(name) + text + "\nmodel: [under_test]\n" + train;
  if (kind == DefinitionKind::block) return "data: {}\nblocks:\n  under_test():\n    - " + text + "\nmodel: [under_test]\n" + train;
  return "data: {}\nfunctions:\n  under_test(x, y):\n    y: '" + text + "'\nmodel: [{linear: 6}]\n" +
         "train: {epochs: 1, batch_size: 4, loss: \"mean(under_test(output, y) * 1.5)\", optimizer: sgd}\n";
}

void check(const std::string& name, DefinitionKind kind) {
  SCOPED_TRACE(name);
  auto row = kUses.find(name);
  Use use = row == kUses.end() ? Use{} : row->second;
  Sources sources;
  Diagnostics faults(sources);
  Node spec = parse_yaml(sources, sources.add("spec.yaml", spec_of(name, kind, use)), faults);
  std::unique_ptr<Model> model = elaborate(effective_spec(spec), schema_of(use), sources, faults);
  ASSERT_TRUE(model) << faults.render() << "An entry that takes more than x needs a row in kUses.";
  GradientGraph gradients = model->gradients(4);

  std::mt19937 random(static_cast<uint32_t>(std::hash<std::string>()(name)));
  StepInput<double> input;
  std::map<TensorId, Array<double>> state;
  std::vector<std::vector<char>> columns;
  std::vector<int32_t> rows = {0, 1, 2, 3};
  std::normal_distribution<double> normal;
  columns.reserve(gradients.graph.tensors.size());
  for (size_t t = 0; t < gradients.graph.tensors.size(); ++t) {
    const Tensor& tensor = gradients.graph.tensors[t];
    if (tensor.role == Role::input) input.columns[static_cast<TensorId>(t)] = columns.emplace_back(column(tensor.type, 4, random)).data();
    if (tensor.role != Role::parameter && tensor.role != Role::running) continue;
    Array<double>& values =
        state[static_cast<TensorId>(t)] = {tensor.type, std::vector<double>(static_cast<size_t>(tensor.type.elements()))};
    for (double& v : values.data) v = tensor.role == Role::parameter ? 0.5 * normal(random) : 1;
  }
  input.rows = rows.data();
  input.scalars.assign(gradients.graph.scalars.size(), 0);
  input.state = &state;
  int checked = 0;
  for (const GradientTask& task : gradients.tasks) {
    if (task.name[0] == '_')
      continue;   // alone, a part of a transform stands on its kinks: the greatest channel and what it is compared with
    std::vector<GradientDifference> found = check_gradient(gradients.graph, task.probe, input);
    for (size_t i = 0; i < found.size(); ++i, ++checked) {
      EXPECT_FALSE(found[i].off) << task.name << " by " << task.at[i].name << ", element " << found[i].element << ": " << found[i].given
                                 << ", differences give " << found[i].expected;
    }
  }
  EXPECT_GT(checked, 0) << name;
}

std::vector<std::pair<std::string, DefinitionKind>> entries(std::initializer_list<DefinitionKind> kinds) {
  Sources sources;
  Library library(sources);
  std::vector<std::pair<std::string, DefinitionKind>> out;
  for (DefinitionKind kind : kinds)
    for (const std::string& name : library.names(kind)) out.emplace_back(name, kind);
  return out;
}

TEST(StdGradients, AgreeWithCentralDifferences) {
  for (const auto& [name, kind] : entries({DefinitionKind::function, DefinitionKind::block, DefinitionKind::transform})) check(name, kind);
}

TEST(StdGradients, RowsNameEntries) {
  std::set<std::string> known;
  for (const auto& [name, kind] : entries({DefinitionKind::function, DefinitionKind::block, DefinitionKind::transform})) known.insert(name);
  for (const auto& [name, use] : kUses) EXPECT_TRUE(known.count(name)) << name;
}

TEST(StdParity, EveryEntryIsInAFixture) {
  std::set<std::string> words;
  const char* letters = "abcdefghijklmnopqrstuvwxyz0123456789_";
  for (const auto& file : std::filesystem::directory_iterator(std::string(MLC_SOURCE_DIR) + "/tests/parity/fixtures")) {
    if (file.path().extension() != ".yaml") continue;
    std::ifstream in(file.path());
    for (std::string line; std::getline(in, line);) {
      if (line.rfind("name:", 0) == 0) continue;   // the case's own
      for (size_t begin = 0, end = 0; (begin = line.find_first_of(letters, end)) != std::string::npos;) {
        end = line.find_first_not_of(letters, begin);
        words.insert(line.substr(begin, end - begin));
      }
    }
  }
  for (const auto& [name, kind] :
       entries({DefinitionKind::function, DefinitionKind::block, DefinitionKind::optimizer, DefinitionKind::schedule}))
    EXPECT_TRUE(words.count(name)) << kind_name(kind) << " '" << name << "' has no parity case (tests/parity/cases.py)";
}

}  // namespace
}  // namespace mlc
