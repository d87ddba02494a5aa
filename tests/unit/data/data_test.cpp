#include "compiler/base/diagnostics.h"
#include "runtime/data/dataset.h"
#include "runtime/data/resize.h"
#include "runtime/data/split.h"
#include "runtime/data/text_file.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

namespace mlc {
namespace {

class Data : public testing::Test {
protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("mlc-data-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return (folder_ / name).string();
  }
  DataSettings table(const std::string& content) {
    DataSettings s;
    s.reader = "csv";
    s.all = SourceSettings{.path = {file("t.csv", content), {}}};
    s.csv.target.column = {"-1", {}};
    return s;
  }
  std::filesystem::path folder_;
};

TEST_F(Data, CsvHasQuotesAndLineEnds) {
  auto rows = read_csv(file("q.csv", "\xEF\xBB\xBF"
                                     "a,\"b, c\",\"d\"\"e\"\r\n\r\n\"two\nlines\",,x"),
                       ',', 0);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].fields, (std::vector<std::string>{"a", "b, c", "d\"e"}));
  EXPECT_EQ(rows[1].fields, (std::vector<std::string>{"two\nlines", "", "x"}));
  EXPECT_EQ(rows[1].line, 3);
}

TEST_F(Data, CsvSplitsAtBlanks) {
  auto rows = read_csv(file("b.txt", "  1   2\t3 \n4 5 6\n"), ' ', 0);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].fields, (std::vector<std::string>{"1", "2", "3"}));
}

TEST_F(Data, GzipIsKnownByContent) {
  std::string path = (folder_ / "z.csv").string();
  gzFile z = gzopen(path.c_str(), "wb");
  gzputs(z, "a,b\n1,2\n");
  gzclose(z);
  EXPECT_EQ(read_text_file(path), "a,b\n1,2\n");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 6);
  EXPECT_THROW(read_text_file(path), RuntimeError);
}

TEST_F(Data, NumberTargetIsOneNumber) {
  Dataset d = open_dataset(table("a,b,y\n1,2,0.5\n3,4,1.5\n"));
  EXPECT_EQ(d.schema.columns[0].type, (Type{DType::f32, {2}}));
  EXPECT_EQ(d.schema.columns[1].type, (Type{DType::f32, {1}}));
  EXPECT_EQ(reinterpret_cast<const float*>(d.columns[0].data())[3], 4);
}

TEST_F(Data, ClassesSortByValueOrByBytes) {
  DataSettings s = table("a,y\n1,10\n2,9\n3,10\n");
  s.csv.types = {{{"y", {}}, true}};
  EXPECT_EQ(open_dataset(s).schema.columns[1].classes, (std::vector<std::string>{"9", "10"}));
  s = table("a,y\n1,b\n2,B\n3,a\n");
  s.csv.types = {{{"y", {}}, true}};
  EXPECT_EQ(open_dataset(s).schema.columns[1].classes, (std::vector<std::string>{"B", "a", "b"}));
}

TEST_F(Data, MissingValuesAreFilledFromTrainingRows) {
  DataSettings s = table("a,y\n1,0\n3,0\n,0\n100,0\n");
  EXPECT_THROW(open_dataset(s), RuntimeError);
  s.csv.fill = "mean";
  s.split = {.train = 0.75, .test = 0.25, .sequential = true};
  EXPECT_EQ(reinterpret_cast<const float*>(open_dataset(s).columns[0].data())[2], 2);
  s.csv.fill = "drop";
  s.split = {};
  EXPECT_EQ(open_dataset(s).rows, 3);
}

TEST_F(Data, OneHotExpandsInPlace) {
  DataSettings s = table("sex,a,y\nm,1,0\nf,2,1\n");
  s.csv.types = {{{"sex", {}}, true}};
  EXPECT_THROW(open_dataset(s), SpecError);
  s.transforms = {{.kind = LoadTransform::Kind::one_hot, .columns = {{"sex", {}}}}};
  Dataset d = open_dataset(s);
  EXPECT_EQ(d.schema.columns[0].features, (std::vector<std::string>{"sex=f", "sex=m", "a"}));
  const auto* x = reinterpret_cast<const float*>(d.columns[0].data());
  EXPECT_EQ(std::vector<float>(x, x + 3), (std::vector<float>{0, 1, 1}));
}

TEST(Split, RoundsByLargestRemainderAndKeepsShares) {
  std::vector<int32_t> rows(100), labels(100);
  std::iota(rows.begin(), rows.end(), 0);
  for (size_t i = 0; i < 100; ++i) labels[i] = i < 20;
  Parts p = split_rows(rows, {labels, {}}, {.train = 0.7, .val = 0.1, .test = 0.2}, 1);
  EXPECT_EQ(p.train.size(), 70u);
  EXPECT_EQ(p.val.size(), 10u);
  EXPECT_EQ(p.test.size(), 20u);
  EXPECT_EQ(std::count_if(p.test.begin(), p.test.end(), [&](int32_t r) { return labels[static_cast<size_t>(r)] == 1; }), 4);
  std::set<int32_t> all(p.train.begin(), p.train.end());
  all.insert(p.val.begin(), p.val.end());
  all.insert(p.test.begin(), p.test.end());
  EXPECT_EQ(all.size(), 100u);
  EXPECT_EQ(split_rows(rows, {labels, {}}, {.train = 0.7, .val = 0.1, .test = 0.2}, 1).train, p.train);
  EXPECT_NE(split_rows(rows, {labels, {}}, {.train = 0.7, .val = 0.1, .test = 0.2}, 2).train, p.train);
}

TEST(Resize, KeepsConstantsAndEnlargesSmoothly) {
  std::vector<std::byte> flat(64, std::byte{77}), out(28 * 28);
  resize_images(flat.data(), 1, 1, 8, 8, 28, 28, out.data());
  for (std::byte b : out) EXPECT_EQ(b, std::byte{77});
  std::vector<std::byte> ramp = {std::byte{0}, std::byte{100}}, wide(4);
  resize_images(ramp.data(), 1, 1, 1, 2, 1, 4, wide.data());
  EXPECT_EQ(wide, (std::vector<std::byte>{std::byte{0}, std::byte{25}, std::byte{75}, std::byte{100}}));
}

}  // namespace
}  // namespace mlc
