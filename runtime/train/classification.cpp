#include "runtime/train/classification.h"

#include "compiler/base/text.h"

#include <algorithm>
#include <cstdio>

namespace mlc {
namespace {

double quotient(double a, double b) { return b == 0 ? 0 : a / b; }

std::string pad_left(const std::string& text, size_t width) {
  size_t length = utf8_length(text);
  return length < width ? std::string(width - length, ' ') + text : text;
}

std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string class_name(const std::vector<std::string>& classes, size_t index) {
  return index < classes.size() ? classes[index] : std::to_string(index);
}

size_t widest(const std::vector<std::string>& classes, size_t count) {
  size_t width = 0;
  for (size_t i = 0; i < count; ++i) width = std::max(width, utf8_length(class_name(classes, i)));
  return width;
}

}  // namespace

Confusion confusion_matrix(const Predicted& predicted) {
  size_t n = static_cast<size_t>(predicted.class_count());
  Confusion counts(n, std::vector<int64_t>(n));
  std::vector<int32_t> classes = predicted_classes(predicted);
  for (size_t i = 0; i < classes.size(); ++i) ++counts.at(static_cast<size_t>(predicted.labels[i])).at(static_cast<size_t>(classes[i]));
  return counts;
}

std::vector<ClassScores> class_scores(const Confusion& confusion) {
  std::vector<ClassScores> scores(confusion.size());
  for (size_t truth = 0; truth < confusion.size(); ++truth)
    for (size_t guess = 0; guess < confusion.size(); ++guess) {
      scores[truth].support += confusion[truth][guess];
      scores[guess].predicted += confusion[truth][guess];
    }
  for (size_t c = 0; c < confusion.size(); ++c) {
    ClassScores& s = scores[c];
    double right = static_cast<double>(confusion[c][c]);
    s.precision = quotient(right, static_cast<double>(s.predicted));
    s.recall = quotient(right, static_cast<double>(s.support));
    s.f1 = quotient(2 * right, static_cast<double>(s.predicted + s.support));
  }
  return scores;
}

std::string print_confusion(const Confusion& confusion, const std::vector<std::string>& classes, int width) {
  size_t n = confusion.size(), cell = 1, names = std::max(widest(classes, n), size_t{4});
  for (const auto& row : confusion)
    for (int64_t count : row) cell = std::max(cell, std::to_string(count).size());
  // With long names the columns are numbered, and the numbers stand before the names at the rows.
  size_t full = std::max(cell, widest(classes, n));
  bool numbered = names + 2 + n * (full + 2) > static_cast<size_t>(std::max(width, 1));
  std::string index_pad(numbered ? std::to_string(n).size() + 1 : 0, ' ');
  cell = numbered ? std::max(cell, std::to_string(n).size()) : full;
  std::string out = index_pad + pad_left("true", names) + "  predicted\n" + index_pad + std::string(names, ' ');
  for (size_t c = 0; c < n; ++c) out += "  " + pad_left(numbered ? std::to_string(c) : class_name(classes, c), cell);
  out += "\n";
  for (size_t truth = 0; truth < n; ++truth) {
    if (numbered) out += pad_left(std::to_string(truth), index_pad.size() - 1) + " ";
    out += pad_left(class_name(classes, truth), names);
    for (int64_t count : confusion[truth]) out += "  " + pad_left(std::to_string(count), cell);
    out += "\n";
  }
  return out;
}

std::string print_classification(const Confusion& confusion, const std::vector<std::string>& classes) {
  std::vector<ClassScores> scores = class_scores(confusion);
  size_t names = std::max(widest(classes, confusion.size()), std::string("weighted avg").size());
  auto line = [&](const std::string& name, const std::string& p, const std::string& r, const std::string& f, const std::string& n) {
    return pad_left(name, names) + pad_left(p, 11) + pad_left(r, 10) + pad_left(f, 10) + pad_left(n, 10) + "\n";
  };
  auto row = [&](const std::string& name, const ClassScores& s) {
    return line(name, fixed(s.precision, 4), fixed(s.recall, 4), fixed(s.f1, 4), std::to_string(s.support));
  };
  std::string out = line("", "precision", "recall", "f1-score", "support");
  ClassScores macro, weighted;
  int64_t rows = 0, right = 0;
  double present = 0;
  for (size_t c = 0; c < scores.size(); ++c) {
    const ClassScores& s = scores[c];
    out += row(class_name(classes, c), s);
    rows += s.support;
    right += confusion[c][c];
    double weight = static_cast<double>(s.support), counts = s.support + s.predicted > 0 ? 1 : 0;
    present += counts;
    macro.precision += counts * s.precision, macro.recall += counts * s.recall, macro.f1 += counts * s.f1;
    weighted.precision += weight * s.precision, weighted.recall += weight * s.recall, weighted.f1 += weight * s.f1;
  }
  auto average = [&](ClassScores sum, double by) {
    return ClassScores{quotient(sum.precision, by), quotient(sum.recall, by), quotient(sum.f1, by), rows, rows};
  };
  double accuracy = quotient(static_cast<double>(right), static_cast<double>(rows));
  out += "\n" + line("accuracy", "", "", fixed(accuracy, 4), std::to_string(rows));
  out += row("macro avg", average(macro, present));
  out += row("weighted avg", average(weighted, static_cast<double>(rows)));
  return out;
}

}  // namespace mlc
