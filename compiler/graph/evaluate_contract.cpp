// Contractions: both operands are packed to [batch, rows, inner] and [batch, inner, columns], multiplied with the sum
// of each element running over `inner` upwards in T, and the product is written in the order of the result's labels.
#include "compiler/graph/evaluate.h"

namespace mlc {
namespace {

struct Axes {
  Shape shape;
  std::string labels;
};

int64_t extent_of(char label, const ContractLabels& labels, const Shape& a, const Shape& b) {
  size_t i = labels.a.find(label);
  return i != std::string::npos ? a[i] : b[labels.b.find(label)];
}

Strides strides_by_label(const std::string& order, const std::string& labels, const Shape& shape) {
  Strides own = row_major(shape), out;
  for (char label : order) out.push_back(own[labels.find(label)]);
  return out;
}

template <class T> std::vector<T> pack(const Array<T>& x, const std::string& labels, const Axes& to) {
  std::vector<T> out(x.data.size());
  T* next = out.data();
  walk(to.shape, strides_by_label(to.labels, labels, x.type.shape), 0, [&](int64_t at) { *next++ = x.data[static_cast<size_t>(at)]; });
  return out;
}

/// c[m, n] = sum over k of a[m, k] b[k, n]. Blocks of columns stay in registers.
template <class T> void multiply(const T* a, const T* b, T* c, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kBlock = 16;
  for (int64_t row = 0; row < m; ++row) {
    int64_t column = 0;
    for (; column + kBlock <= n; column += kBlock) {
      T sums[kBlock] = {};
      for (int64_t i = 0; i < k; ++i) {
        T x = a[row * k + i];
        const T* y = b + i * n + column;
        for (int64_t j = 0; j < kBlock; ++j) sums[j] += x * y[j];
      }
      for (int64_t j = 0; j < kBlock; ++j) c[row * n + column + j] = sums[j];
    }
    for (; column < n; ++column) {
      T sum = 0;
      for (int64_t i = 0; i < k; ++i) sum += a[row * k + i] * b[i * n + column];
      c[row * n + column] = sum;
    }
  }
}

}  // namespace

template <class T> Array<T> evaluate_contract(const Op& op, const Operands<T>& in) {
  ContractLabels labels = parse_labels(op.attr.labels);
  const Shape &sa = in[0]->type.shape, &sb = in[1]->type.shape;
  std::string both, rows, columns, inner;
  for (char label : labels.out) {
    bool in_a = labels.a.find(label) != std::string::npos, in_b = labels.b.find(label) != std::string::npos;
    (in_a && in_b ? both : in_a ? rows : columns) += label;
  }
  for (char label : labels.a)
    if (labels.out.find(label) == std::string::npos) inner += label;

  auto axes = [&](const std::string& order) {
    Axes out{{}, order};
    for (char label : order) out.shape.push_back(extent_of(label, labels, sa, sb));
    return out;
  };
  std::vector<T> a = pack(*in[0], labels.a, axes(both + rows + inner)), b = pack(*in[1], labels.b, axes(both + inner + columns));
  int64_t batches = element_count(axes(both).shape), m = element_count(axes(rows).shape), n = element_count(axes(columns).shape),
          k = element_count(axes(inner).shape);
  std::vector<T> product(static_cast<size_t>(batches * m * n));
  for (int64_t i = 0; i < batches; ++i) multiply(a.data() + i * m * k, b.data() + i * k * n, product.data() + i * m * n, m, n, k);

  Array<T> out = make_array<T>(op.type);
  const T* from = product.data();
  Axes computed = axes(both + rows + columns);
  walk(computed.shape, strides_by_label(computed.labels, labels.out, op.type.shape), 0,
       [&](int64_t at) { out.data[static_cast<size_t>(at)] = *from++; });
  return out;
}

template Array<float> evaluate_contract(const Op&, const Operands<float>&);
template Array<double> evaluate_contract(const Op&, const Operands<double>&);

}  // namespace mlc
