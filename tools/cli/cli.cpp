#include "tools/cli/cli.h"

#include "compiler/base/message_lines.h"
#include "compiler/base/text.h"
#include "compiler/model/vars.h"
#include "runtime/data/text_fault.h"
#include "runtime/store/run_folder.h"
#include "tools/cli/bind.h"
#include "tools/cli/paths.h"

#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

namespace mlc {

namespace po = boost::program_options;

namespace {

// Of this process's command line.
std::string g_colour = "auto", g_progress = "auto";
bool g_json = false;

std::string chosen(const std::string& option, const std::string& word) {
  if (word != "auto" && word != "always" && word != "never")
    throw UsageError("--" + option + " is auto, always or never, not '" + word + "'\n");
  return word;
}

// One event a line, beside the text on standard error.
void print_events(const Diagnostics& diagnostics) {
  const Sources& sources = diagnostics.sources();
  for (const Diagnostic& d : diagnostics.sorted()) {
    nlohmann::ordered_json event = {{"event", "message"}, {"severity", d.severity == Severity::error ? "error" : "warning"}};
    if (d.loc)
      event.update({{"file", sources.name(d.loc.file)}, {"line", d.loc.line}, {"col", d.loc.col}, {"end_col", d.loc.col + d.loc.len}});
    event.update({{"code", d.code}, {"text", d.text}, {"fix", d.fix}});
    std::cout << event_line(event) << "\n";
  }
  std::cout.flush();
}

}  // namespace

void Arguments::add_spec_options() {
  add()("set", po::value<std::vector<std::string>>()->composing()->value_name("PATH=VALUE"),
        "set a value of the spec, as in train.optimizer.lr=0.1; may be repeated");
  add()("seed", po::value<std::string>()->value_name("N"), "seed of all randomness (default: the spec's, 0)");
  add()("threads", po::value<std::string>()->value_name("N"), "CPU threads (default: all physical cores); results do not depend on it");
  add()("device", po::value<std::string>()->value_name("NAME"), "auto, cpu or reference (default: the spec's, auto)");
  add()("allow-outside", po::bool_switch(), "let the spec read files outside of its folder");
  add()("color", po::value<std::string>()->default_value("auto")->value_name("WHEN"),
        "colours in messages: auto (on a terminal), always or never");
  add()("werror", po::bool_switch(), "treat warnings as errors");
  add()("lanes", po::value<int64_t>()->default_value(0)->value_name("N"),
        "f32 lanes of vectors: 4, 8 or 16 (default: the CPU's, 0); results do not depend on it");
  add()("no-fusion", po::bool_switch(), "every op is a kernel of its own");
  add()("disable-pass", po::value<std::vector<std::string>>()->composing()->value_name("NAME"),
        "leave out a pass of the compiler; templates: only generic loops");
  add()("no-cache", po::bool_switch(), "compile anew");
}

bool Arguments::parse(int argc, char** argv) {
  add()("help,h", po::bool_switch(), "print this help");
  po::options_description all, places;
  po::positional_options_description order;
  for (const std::string& shown : positional_) {
    std::string name = shown[0] == '[' ? shown.substr(1, shown.size() - 2) : shown;
    places.add_options()(name.c_str(), po::value<std::string>());
    order.add(name.c_str(), 1);
  }
  all.add(options_).add(hidden_).add(places);
  auto usage = [&] {
    std::string text = "usage: mlc " + command_;
    for (const std::string& p : positional_) text += " " + p;
    return text + " [options]\n";
  };
  // A switch given twice is on.
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    auto* option = word.size() > 2 && word[0] == '-' ? all.find_nothrow(word.substr(word[1] == '-' ? 2 : 0), false) : nullptr;
    bool repeated = option && option->semantic()->max_tokens() == 0 && std::find(words.begin(), words.end(), word) != words.end();
    if (!repeated) words.push_back(std::move(word));
  }
  try {
    po::store(po::command_line_parser(words).options(all).positional(order).run(), values_);
    po::notify(values_);
  } catch (const po::unknown_option& e) {
    std::vector<std::string> names;
    for (const auto& o : options_.options()) names.push_back("--" + o->long_name());
    throw UsageError("unknown option '" + e.get_option_name() + "'" + did_you_mean(nearest(e.get_option_name(), names)) + "\n" + usage());
  } catch (const po::error& e) {
    throw UsageError(std::string(e.what()) + "\n" + usage());
  }
  if (values_.count("color")) g_colour = chosen("color", text("color"));
  if (values_.count("progress")) g_progress = chosen("progress", text("progress"));
  g_json = values_.count("json") != 0 && flag("json");
  if (flag("help")) {
    std::cout << usage() << summary_ << "\n\n" << options_;
    if (!example_.empty()) std::cout << "\nexample:\n  " << example_ << "\n";
    return false;
  }
  for (const std::string& p : positional_)
    if (p[0] != '[' && !values_.count(p)) throw UsageError(p + " is missing\n" + usage());
  for (const std::string& s : list("set"))
    if (s.find('=') == std::string::npos) throw UsageError("--set takes PATH=VALUE, not '" + s + "'\n" + usage());
  return true;
}

std::vector<std::string> Arguments::sets() const {
  std::vector<std::string> out = list("set");
  for (const char* name : {"seed", "threads", "device"})
    if (has(name)) out.push_back(std::string(name) + "=" + text(name));
  return out;
}

bool shows_progress() { return g_progress == "auto" ? isatty(STDERR_FILENO) != 0 : g_progress == "always"; }

bool colours() {
  if (g_colour != "auto") return g_colour == "always";
  const char *none = std::getenv("NO_COLOR"), *term = std::getenv("TERM");
  return isatty(STDERR_FILENO) && !(none && *none) && !(term && std::string(term) == "dumb");
}

int terminal_width() {
  winsize size{};
  if (isatty(STDERR_FILENO) && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return isatty(STDERR_FILENO) ? 80 : 0;
}

bool report(const Diagnostics& diagnostics, bool werror) {
  std::cerr << diagnostics.render(terminal_width(), colours());
  if (g_json) print_events(diagnostics);
  return diagnostics.errors() || (werror && diagnostics.warnings());
}

namespace {

// Beside faults in what the data are: shapes are not known, and nothing is read.
void check_without_data(const Node& spec, Sources& sources, Diagnostics& diagnostics) {
  bind_train(spec, diagnostics);
  elaborate(spec, Schema{}, sources, diagnostics);
}

}  // namespace

Node read_spec(const std::string& path, const Arguments& arguments, Sources& sources, Diagnostics& diagnostics,
               const std::vector<Assignment>& values) {
  Node spec = load_spec(sources, path, arguments.sets(), diagnostics, values, arguments.flag("allow-outside"));
  if (!spec.is(Node::Kind::null) && !diagnostics.errors()) resolve_quantities(spec, diagnostics);
  Vocabulary left = diagnostics.errors() ? Vocabulary::unusable : Vocabulary::whole;
  if (!spec.is(Node::Kind::null)) left = std::min(left, check_vocabulary(spec, diagnostics));
  resolve_paths(spec, path, sources);
  if (left != Vocabulary::whole) {
    if (left == Vocabulary::without_data) check_without_data(effective_spec(spec), sources, diagnostics);
    report(diagnostics, false);
    return {};
  }
  if (const Node* lints = spec.find("lints"))
    for (const auto& [name, value] : lints->entries)
      if (value.text == "off" || value.text == "false") diagnostics.silence(name.text);
  return effective_spec(spec);
}

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
      {"run", "train a spec", run_command},
      {"sweep", "train a spec with many settings and compare", sweep_command},
      {"check", "check a spec: shapes, parameters, memory; no training", check_command},
      {"show", "print the effective spec with the origin of each value", show_command},
      {"dump-ir", "print a level of the compiler", dump_ir_command},
      {"profile", "where the time of a training step goes, by kernel and by line", profile_command},
      {"eval", "evaluate a run on its test rows", eval_command},
      {"predict", "apply a run to new rows", predict_command},
      {"diff", "what two specs or two runs do differently", diff_command},
      {"init", "write a first spec for a table", init_command},
      {"doc", "documentation of an op, a loss, an optimizer, a key or a topic; search", doc_command},
      {"schema", "JSON Schema of the spec language, for editors", schema_command},
      {"completion", "completion script for bash, zsh or fish", completion_command},
      {"doctor", "what this machine offers, and where things are looked for", doctor_command},
      {"opt", "run one pass on a graph's text", opt_command, false},
  };
  return table;
}

namespace {

std::string help() {
  std::string text = "mlc: trains machine-learning programs described in YAML\nusage: mlc COMMAND ...\n\n";
  for (const Command& c : commands())
    if (c.listed) text += fmt::format("  {:<12}{}\n", c.name, c.summary);
  return text + "\n  mlc COMMAND --help tells more; mlc --version\n";
}

void print_error(const std::string& text) {
  std::vector<std::string> lines = message_lines(text);
  std::cerr << "mlc: error: " << join(lines, "\n  ") << "\n";
  if (g_json)
    std::cout << event_line({{"event", "message"}, {"severity", "error"}, {"code", ""}, {"text", text}, {"fix", ""}}) << std::endl;
}

int dispatch(int argc, char** argv) {
  std::string name = argc > 1 ? argv[1] : "--help";
  if (name == "--help" || name == "-h" || name == "help") return (argc > 1 ? std::cout : std::cerr) << help(), argc > 1 ? kDone : kUsage;
  if (name == "--version") return std::cout << "mlc 0.1.0\n", kDone;
  for (const Command& c : commands())
    if (name == c.name) return c.run(argc - 1, argv + 1);
  std::vector<std::string> names;
  for (const Command& c : commands())
    if (c.listed) names.push_back(c.name);
  throw UsageError("unknown command '" + name + "'" + did_you_mean(suggest(name, names)) + "\nmlc --help lists the commands\n");
}

}  // namespace

int run_mlc(int argc, char** argv) {
  try {
    return dispatch(argc, argv);
  } catch (const UsageError& e) {
    std::cerr << "mlc: " << e.what();
    return kUsage;
  } catch (const SpecError& e) {
    print_error(e.what());
  } catch (const TextFault& e) {
    Sources sources;
    Diagnostics diagnostics(sources);
    diagnostics.report(located(e, sources));
    report(diagnostics, false);
  } catch (const RuntimeError& e) {
    print_error(e.what());
  } catch (const InternalError& e) {
    std::cerr << "mlc: internal error, a bug of mlc: " << e.what() << "\n";
  } catch (const std::bad_alloc&) {
    std::cerr << "mlc: error: out of memory\n";
  }
  return kFault;
}

}  // namespace mlc
