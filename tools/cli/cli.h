// What all commands share: options, exit statuses, the path of messages.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/spec.h"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>

#include <string>
#include <vector>

namespace mlc {

/// Exit statuses (docs/language.md).
enum Exit : int { kDone = 0, kFault = 1, kUsage = 2, kStopped = 3, kInterrupted = 130 };

/// Wrong usage: reported with the command's help, exit 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Command line of one command. `positional` names the arguments by place; one in brackets, "[NAME]", may be left out.
class Arguments {
public:
  Arguments(std::string command, std::string summary, std::vector<std::string> positional)
      : command_(std::move(command)), summary_(std::move(summary)), positional_(std::move(positional)), options_("options") {}
  boost::program_options::options_description_easy_init add() { return options_.add_options(); }
  /// A command line that --help shows.
  void example(std::string text) { example_ = std::move(text); }
  /// Options that --help does not list.
  boost::program_options::options_description_easy_init hidden() { return hidden_.add_options(); }
  /// Options of commands that read a spec: --set, --seed, --threads, --device, --out, --lanes, ...
  void add_spec_options();
  /// Parses; prints the help and returns false for --help. Throws UsageError.
  bool parse(int argc, char** argv);
  bool has(const std::string& name) const { return values_.count(name) && !values_[name].defaulted(); }
  std::string text(const std::string& name) const { return values_.count(name) ? values_[name].as<std::string>() : ""; }
  int64_t integer(const std::string& name) const { return values_[name].as<int64_t>(); }
  double real(const std::string& name) const { return values_[name].as<double>(); }
  bool flag(const std::string& name) const { return values_.count(name) && values_[name].as<bool>(); }
  std::vector<std::string> list(const std::string& name) const {
    return values_.count(name) ? values_[name].as<std::vector<std::string>>() : std::vector<std::string>{};
  }
  /// The `--set` arguments, those that --seed, --threads and --device stand for included.
  std::vector<std::string> sets() const;

private:
  std::string command_, summary_, example_;
  std::vector<std::string> positional_;
  boost::program_options::options_description options_, hidden_;
  boost::program_options::variables_map values_;
};

struct Command {
  const char* name;
  const char* summary;
  int (*run)(int argc, char** argv);
  bool listed = true;
};
const std::vector<Command>& commands();
/// Runs a command line; all errors end here as messages and exit statuses.
int run_mlc(int argc, char** argv);

int run_command(int argc, char** argv);
int sweep_command(int argc, char** argv);
int check_command(int argc, char** argv);
int profile_command(int argc, char** argv);
int show_command(int argc, char** argv);
int dump_ir_command(int argc, char** argv);
int eval_command(int argc, char** argv);
int predict_command(int argc, char** argv);
int diff_command(int argc, char** argv);
int init_command(int argc, char** argv);
int schema_command(int argc, char** argv);
int completion_command(int argc, char** argv);
int doc_command(int argc, char** argv);
int doctor_command(int argc, char** argv);
int opt_command(int argc, char** argv);

/// Reads a spec. Null (Kind::null) where its faults leave nothing to go on with: they are printed. Other faults of its vocabulary are in
/// `diagnostics`, and the spec is without them.
Node read_spec(const std::string& path, const Arguments& arguments, Sources& sources, Diagnostics& diagnostics,
               const std::vector<Assignment>& values = {});
/// Prints what `diagnostics` holds on standard error; true when the command must end.
bool report(const Diagnostics& diagnostics, bool werror);
bool colours();        ///< on a terminal, without NO_COLOR and TERM=dumb, or as --color says
bool shows_progress();  ///< a line that is drawn over: on a terminal, or as --progress says
int terminal_width();

}  // namespace mlc
