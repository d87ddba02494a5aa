// CSV tables under the settings that the first byte picks: delimiter, header, target, classes, missing values.
#include "runtime/data/table.h"

#include "tests/fuzz/fuzz.h"

using namespace mlc;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  unsigned pick = data[0];
  MemoryFile file(data + 1, size - 1);
  CsvSettings csv;
  csv.delimiter = ",;\t "[pick & 3];
  csv.header = pick & 4;
  if (pick & 8) csv.target.column = {"-1", {}};
  csv.target.class_target = pick & 16;
  if (pick & 16) csv.target.classes = {"a", "b"};
  if (pick & 32) csv.fill = "mean", csv.missing = {"NA", ""};
  csv.skip_rows = pick >> 7;
  answers([&] {
    Table t = read_table({file.path()}, csv, {}, {}, {});
    std::vector<int32_t> rows;
    for (int32_t r = 0; r < t.rows; ++r) rows.push_back(r);
    if (!csv.fill.empty()) fill_missing(t, csv, rows);
  });
  return 0;
}
