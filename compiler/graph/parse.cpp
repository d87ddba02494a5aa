#include "compiler/base/diagnostics.h"
#include "compiler/base/text.h"
#include "compiler/graph/text_form.h"

#include <cctype>
#include <charconv>
#include <unordered_map>

namespace mlc {
namespace {

/// Reads one line from left to right; faults point at the token last read.
class LineReader {
public:
  LineReader(uint32_t file, uint32_t number, std::string_view line) : file_(file), number_(number), line_(line) {}

  Loc loc() const { return loc(token_, at_); }
  [[noreturn]] void fail(std::string text) const { throw SpecError(loc(), std::move(text)); }
  [[noreturn]] void fail_at(size_t byte, std::string text) const { throw SpecError(loc(byte, byte + 1), std::move(text)); }

  bool at_end() {
    skip();
    return at_ >= line_.size() || line_[at_] == ';';
  }
  bool take(std::string_view text) {
    skip();
    if (!starts_with(line_.substr(at_), text)) return false;
    token_ = at_;
    at_ += text.size();
    return true;
  }
  void expect(std::string_view text) {
    if (take(text)) return;
    token_ = at_;
    fail("`" + std::string(text) + "` expected");
  }
  std::string word() {
    skip();
    token_ = at_;
    while (at_ < line_.size() && (std::isalnum(static_cast<unsigned char>(line_[at_])) || line_[at_] == '_')) ++at_;
    if (at_ == token_) fail("a name expected");
    return std::string(line_.substr(token_, at_ - token_));
  }
  template <class T> T number() {
    skip();
    token_ = at_;
    T value{};
    auto [end, error] = std::from_chars(line_.data() + at_, line_.data() + line_.size(), value);
    if (error != std::errc()) fail("a number expected");
    at_ = static_cast<size_t>(end - line_.data());
    return value;
  }
  template <class T> std::vector<T> list() {
    std::vector<T> out;
    expect("[");
    if (take("]")) return out;
    do out.push_back(number<T>());
    while (take(","));
    expect("]");
    return out;
  }
  std::string quoted() {
    expect("\"");
    size_t begin = token_;
    std::string out;
    for (; at_ < line_.size() && line_[at_] != '"'; ++at_) {
      if (line_[at_] != '\\') {
        out += line_[at_];
      } else if (at_ + 1 < line_.size() && line_[at_ + 1] != 'x') {
        out += line_[++at_];
      } else {
        unsigned code = 0;
        auto digits = line_.substr(std::min(at_ + 2, line_.size()), 2);
        if (std::from_chars(digits.data(), digits.data() + digits.size(), code, 16).ptr != digits.data() + 2) fail("bad escape");
        out += static_cast<char>(code);
        at_ += 3;
      }
    }
    if (at_ >= line_.size()) fail("the text has no closing quote");
    ++at_;
    token_ = begin;
    return out;
  }
  Type type() {
    Type out;
    std::string name = word();
    if (!parse_dtype(name, &out.dtype)) fail("`" + name + "` is not an element type");
    out.shape = list<int64_t>();
    return out;
  }
  /// All that is left of the line.
  std::string_view rest() {
    skip();
    token_ = at_;
    at_ = line_.size();
    return trim(line_.substr(token_));
  }
  size_t token() const { return token_; }
  /// The text behind `;`, where nothing else may follow any more.
  std::string_view comment() {
    if (!at_end()) {
      token_ = at_, at_ = line_.size();
      fail("nothing more expected");
    }
    return at_ < line_.size() ? trim(line_.substr(at_ + 1)) : std::string_view{};
  }

private:
  void skip() {
    while (at_ < line_.size() && (line_[at_] == ' ' || line_[at_] == '\t')) ++at_;
  }
  Loc loc(size_t begin, size_t end) const {
    begin = std::min(begin, line_.size());
    auto col = static_cast<uint32_t>(utf8_length(line_.substr(0, begin)) + 1);
    auto len = static_cast<uint32_t>(utf8_length(line_.substr(begin, end > begin ? end - begin : 1)));
    return {file_, number_, col, std::max(len, 1u)};
  }

  uint32_t file_, number_;
  std::string_view line_;
  size_t at_ = 0, token_ = 0;
};

class GraphReader {
public:
  GraphReader(const Sources& sources, uint32_t file) : text_(sources.text(file)), file_(file) {}

  Graph read() {
    uint32_t number = 0;
    bool headed = false;
    for (size_t begin = 0; begin < text_.size();) {
      size_t end = std::min(text_.find('\n', begin), text_.size());
      std::string_view line = trim_end(text_.substr(begin, end - begin));
      begin = end + 1;
      ++number;
      std::string_view body = trim(line);
      if (body.empty() || body[0] == ';' || starts_with(body, "//")) continue;
      LineReader in(file_, number, line);
      if (!headed) header(in);
      else statement(in);
      headed = true;
    }
    if (!headed) throw SpecError(Loc{file_, 1, 1, 1}, "a graph begins with `graph \"name\" batch=N`");
    read_formulas();
    try {
      verify(graph_);
    } catch (const InternalError& e) {
      throw SpecError(last_, e.what());
    }
    return std::move(graph_);
  }

private:
  static std::string_view trim_end(std::string_view line) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    return line;
  }

  void header(LineReader& in) {
    in.expect("graph");
    graph_.name = in.quoted();
    in.expect("batch=");
    graph_.batch = in.number<int64_t>();
    if (graph_.batch < 1) in.fail("the batch must be positive");
    last_ = in.loc();
    in.comment();
  }

  void statement(LineReader& in) {
    if (in.take("%")) return op(in);
    std::string kind = in.word();
    if (kind == "tensor") tensor(in);
    else if (kind == "host") host(in);
    else if (kind == "scalar") scalar(in);
    else if (kind == "store") store(in);
    else in.fail("`" + kind + "`: a line is a tensor, host, scalar, store or %value");
    last_ = in.loc();
  }

  /// Numbers are written for the reader's eyes; they must count up.
  static void count(LineReader& in, size_t expected) {
    if (in.number<uint32_t>() != expected) in.fail("number " + std::to_string(expected) + " expected");
  }

  void tensor(LineReader& in) {
    Tensor t;
    in.expect("@");
    count(in, graph_.tensors.size());
    std::string role = in.word();
    if (!parse_role(role, &t.role)) in.fail("`" + role + "` is not a role");
    t.path = in.quoted();
    t.type = in.type();
    if (in.take("pitch=")) t.pitch = in.number<int64_t>();
    in.comment();
    graph_.tensors.push_back(std::move(t));
  }

  void host(LineReader& in) {
    HostState state;
    state.path = in.quoted();
    in.expect("init=");
    state.init = in.number<double>();
    in.expect("=");
    host_formulas_.push_back(in);
    graph_.host_state.push_back(std::move(state));
    in.rest();
  }

  void scalar(LineReader& in) {
    in.expect("#");
    count(in, graph_.scalars.size());
    ScalarRule rule;
    rule.name = in.quoted();
    in.expect("=");
    scalar_formulas_.push_back(in);
    graph_.scalars.push_back(std::move(rule));
    in.rest();
  }

  /// Formulas may name any host state, so they are read when all are known.
  void read_formulas() {
    std::vector<std::string> variables = formula_variables(graph_.host_state);
    auto read = [&](LineReader in) {
      std::string_view text = in.rest();
      try {
        return parse_host_formula(text, variables);
      } catch (const FormulaFault& fault) {
        in.fail_at(in.token() + fault.at, fault.text);
      }
    };
    for (size_t i = 0; i < host_formulas_.size(); ++i) graph_.host_state[i].update = read(host_formulas_[i]);
    for (size_t i = 0; i < scalar_formulas_.size(); ++i) graph_.scalars[i].formula = read(scalar_formulas_[i]);
  }

  void store(LineReader& in) {
    Store s;
    in.expect("@");
    s.tensor = in.number<int32_t>();
    in.expect("%");
    s.value = in.number<uint32_t>();
    in.comment();
    graph_.stores.push_back(s);
  }

  void op(LineReader& in) {
    Op op;
    auto id = static_cast<ValueId>(graph_.ops.size());
    count(in, id);
    in.expect("=");
    std::string name = in.word();
    if (!parse_op_code(name, &op.code)) in.fail("`" + name + "` is not an op");
    op.loc = in.loc();
    while (in.take("%")) op.in.push_back(in.number<uint32_t>());
    std::string_view attributes = op_info(op.code).attributes;
    if (!attributes.empty())
      for (const std::string& attribute : split(attributes, ' ')) {
        in.expect(attribute + "=");
        read_attribute(in, op.attr, attribute);
      }
    in.expect(":");
    op.type = in.type();
    op.per_sample = in.take("sample");
    if (in.take("group=")) op.group = in.number<int32_t>();
    op.scope = scope(in.comment());
    try {
      verify_op(graph_, op, id);
    } catch (const InternalError& e) {
      throw SpecError(op.loc, e.what());
    }
    last_ = op.loc;
    graph_.ops.push_back(std::move(op));
  }

  static void read_attribute(LineReader& in, Attributes& attr, const std::string& name) {
    if (name == "values") attr.values = in.list<double>();
    else if (name == "dims") attr.dims = in.list<int64_t>();
    else if (name == "begin") attr.begin = in.list<int64_t>();
    else if (name == "end") attr.end = in.list<int64_t>();
    else if (name == "step") attr.step = in.list<int64_t>();
    else if (name == "size") attr.size = in.list<int64_t>();
    else if (name == "dilation") attr.dilation = in.list<int64_t>();
    else if (name == "groups") attr.groups = in.number<int64_t>();
    else if (name == "axis") attr.axis = in.number<int64_t>();
    else if (name == "stream") attr.stream = in.number<uint32_t>();
    else if (name == "labels") attr.labels = in.quoted();
    else if (name == "tensor") in.expect("@"), attr.tensor = in.number<int32_t>();
    else in.expect("#"), attr.index = in.number<int32_t>();
  }

  ScopeId scope(std::string_view path) {
    if (path.empty()) return 0;
    auto [found, fresh] = scopes_.emplace(std::string(path), static_cast<ScopeId>(graph_.scopes.size()));
    if (fresh) graph_.scopes.push_back({found->first, {}});
    return found->second;
  }

  std::string_view text_;
  uint32_t file_;
  Graph graph_;
  Loc last_;
  std::vector<LineReader> host_formulas_, scalar_formulas_;  // each stands where the formula begins
  std::unordered_map<std::string, ScopeId> scopes_;
};

}  // namespace

Graph parse_graph(const Sources& sources, uint32_t file) { return GraphReader(sources, file).read(); }

}  // namespace mlc
