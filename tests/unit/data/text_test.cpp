// Text as tokens and windows.
#include "compiler/base/diagnostics.h"
#include "runtime/data/dataset.h"
#include "runtime/data/tokens.h"
#include "runtime/store/schema_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace mlc {
namespace {

class Text : public testing::Test {
protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("mlc-text-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return (folder_ / name).string();
  }
  SourceSettings source(const std::string& name, const std::string& content, int64_t window = 0, int64_t stride = 0) {
    return {.path = {file(name, content), {}}, .window = {window, {}}, .stride = {stride, {}}};
  }
  DataSettings text(const std::string& content, int64_t window, int64_t stride = 0) {
    DataSettings s;
    s.reader = "text";
    s.train = source("train.txt", content, window, stride);
    return s;
  }
  // The text that a row's tokens stand for.
  static std::string row(const Dataset& d, const std::string& column, int32_t r) {
    const ColumnSchema& c = *d.schema.find(column);
    const auto* tokens = reinterpret_cast<const int32_t*>(d.find(column)->data()) + r * c.row_pitch();
    std::string out;
    for (int64_t i = 0; i < c.type.elements(); ++i) out += d.schema.vocabulary.at(static_cast<size_t>(tokens[i]));
    return out;
  }
  static std::string fault(const DataSettings& s) {
    try {
      open_dataset(s);
    } catch (const std::exception& e) {
      std::string what = e.what();
      size_t slash = what.find(".txt:") == std::string::npos ? 0 : what.rfind('/', what.find(".txt:")) + 1;
      return what.substr(slash);
    }
    return "none";
  }
  std::filesystem::path folder_;
};

TEST_F(Text, WindowsAndTheirTargetsAreOneStream) {
  Dataset d = open_dataset(text("abcdefghij", 4));
  EXPECT_EQ(d.train.size(), 2u);
  EXPECT_EQ(row(d, "x", d.train[0]), "abcd");
  EXPECT_EQ(row(d, "y", d.train[0]), "bcde");
  EXPECT_EQ(row(d, "x", d.train[1]), "efgh");
  EXPECT_EQ(row(d, "y", d.train[1]), "fghi");
  EXPECT_EQ(d.columns[0].size(), 10 * sizeof(int32_t));
  EXPECT_EQ(d.columns[1].data() - d.columns[0].data(), static_cast<std::ptrdiff_t>(sizeof(int32_t)));
}

TEST_F(Text, StrideLetsWindowsOverlap) {
  Dataset d = open_dataset(text("abcdefghij", 4, 1));
  ASSERT_EQ(d.train.size(), 6u);
  EXPECT_EQ(row(d, "x", d.train[5]), "fghi");
  EXPECT_EQ(row(d, "y", d.train[5]), "ghij");
}

TEST_F(Text, NoWindowCrossesAPart) {
  DataSettings s = text("abcdefghijabcdefghij", 3, 2);
  s.split = {.train = 0.5, .val = 0.25, .test = 0.25};
  Dataset d = open_dataset(s);
  std::string train, val, test;
  for (int32_t r : d.train) train += row(d, "x", r) + row(d, "y", r).back() + " ";
  for (int32_t r : d.val) val += row(d, "x", r) + row(d, "y", r).back() + " ";
  for (int32_t r : d.test) test += row(d, "x", r) + row(d, "y", r).back() + " ";
  EXPECT_EQ(train, "abcd cdef efgh ghij ");
  EXPECT_EQ(val, "abcd ");
  EXPECT_EQ(test, "fghi ");
}

TEST_F(Text, VocabularyIsThatOfTheTrainingText) {
  DataSettings s = text("z\xC3\xA9"
                        "a\xE2\x82\xAC\nz",
                        2);
  s.val = source("val.txt", "az\nza");
  Dataset d = open_dataset(s);
  EXPECT_EQ(d.schema.vocabulary, (std::vector<std::string>{"\n", "a", "z", "\xC3\xA9", "\xE2\x82\xAC"}));
  EXPECT_EQ(d.schema.columns[1].classes,
            (std::vector<std::string>{"'\\n'", "'a'", "'z'", "'\xC3\xA9' (U+00E9)", "'\xE2\x82\xAC' (U+20AC)"}));
  EXPECT_EQ(row(d, "x", d.val[0]), "az");
  s.val = source("val.txt", "az\nza\nab");
  EXPECT_EQ(fault(s),
            "val.txt:3: the val text has 'b', which the training text lacks (it has 5 characters); 'tokens: byte' knows every text");
}

TEST_F(Text, PlacesOfFaults) {
  EXPECT_EQ(fault(text("ab\ncd\xFFz", 2)), "train.txt:2: byte 0xFF at offset 5 is not UTF-8; 'tokens: byte' reads any file");
  EXPECT_EQ(fault(text("abc", 3)), "the part 'train' has 3 tokens; a window of 3 and the token behind it need 4");
  EXPECT_EQ(fault(text("", 3)).substr(fault(text("", 3)).rfind('/') + 1), "train.txt: the file is empty");
  DataSettings s = text("abcabcabc", 2);
  s.split = {.train = 0.9, .val = 0.1};
  EXPECT_EQ(fault(s), "the part 'val' has 1 tokens; a window of 2 and the token behind it need 3");
  s = text("ab\xC3\xA9\xC3", 1);
  s.split = {.train = 0.5, .val = 0.5};
  EXPECT_EQ(fault(s), "train.txt:1: byte 0xC3 at offset 4 is not UTF-8; 'tokens: byte' reads any file");
}

TEST_F(Text, BytesReadAnyFile) {
  DataSettings s = text(std::string("\xFF\0\n\x80", 4), 3);
  s.train->tokens.text = "byte";
  Dataset d = open_dataset(s);
  EXPECT_EQ(d.schema.vocabulary.size(), 256u);
  EXPECT_EQ(row(d, "y", 0), std::string("\0\n\x80", 3));
}

TEST_F(Text, SchemaReadsBack) {
  DataSettings s = text("z\xC3\xA9 a", 2);
  for (const char* tokens : {"char", "byte"}) {
    s.train->tokens.text = tokens;
    Schema schema = open_dataset(s).schema, back = schema_from_text(schema_to_text(schema), "file");
    EXPECT_EQ(back.vocabulary, schema.vocabulary);
    EXPECT_EQ(back.byte_tokens, schema.byte_tokens);
    ASSERT_EQ(back.columns.size(), 2u);
    EXPECT_EQ(back.columns[0].type, schema.columns[0].type);
    EXPECT_EQ(back.columns[1].classes, schema.columns[1].classes);
    EXPECT_EQ(back.columns[1].meaning, ColumnSchema::Meaning::index);
    EXPECT_EQ(back.columns[0].pitch, 0);
  }
  for (const char* damaged :
       {"", "{}", "[1]", "{\"dataset\": 1, \"columns\": []}",
        R"({"dataset": "a", "columns": [{"name": "x", "type": "f33", "shape": [], "target": false, "meaning": "free"}]})",
        R"({"dataset": "a", "columns": [{"name": "x", "type": "f32", "shape": [0], "target": false, "meaning": "free"}]})"})
    EXPECT_THROW(schema_from_text(damaged, "file"), RuntimeError) << damaged;
}

TEST(Vocabulary, StopsAtTheFirstFault) {
  std::optional<EncodingFault> fault;
  Vocabulary v = Vocabulary::characters("ab\xC3\xA9", &fault);
  EXPECT_FALSE(fault);
  std::vector<int32_t> tokens;
  EXPECT_FALSE(v.encode("b\xC3\xA9"
                        "a",
                        &tokens));
  EXPECT_EQ(tokens, (std::vector<int32_t>{1, 2, 0}));
  EXPECT_EQ(v.encode("ax", &tokens)->at, 1u);
  EXPECT_EQ(v.encode("a\xC3", &tokens)->length, 0u);
  Vocabulary::characters("a\xED\xA0\x80", &fault);   // a surrogate
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->at, 1u);
}

}  // namespace
}  // namespace mlc
