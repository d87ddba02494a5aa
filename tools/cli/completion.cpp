// mlc completion: what shells need to complete command lines. Options come from each command's --help when they are asked for.
#include "tools/cli/cli.h"

#include <iostream>

namespace mlc {
namespace {

std::string names(const char* separator, bool summaries) {
  std::string out;
  for (const Command& c : commands()) {
    if (!c.listed) continue;
    out += (out.empty() ? "" : separator) + std::string(c.name);
    if (summaries) out += std::string(":") + c.summary;
  }
  return out;
}

std::string bash() {
  return "# mlc completion bash: put `source <(mlc completion bash)` into ~/.bashrc\n"
         "_mlc() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
         "  COMPREPLY=()\n"
         "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
         "    COMPREPLY=($(compgen -W '" +
         names(" ", false) +
         "' -- \"$word\"))\n"
         "  elif [ \"$command\" = doc ]; then\n"
         "    COMPREPLY=($(compgen -W \"$(mlc doc all 2>/dev/null | sed 's/^[a-z]*: //')\" -- \"$word\"))\n"
         "  elif [[ $word == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$(mlc \"$command\" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*')\" -- \"$word\"))\n"
         "  fi\n"
         "}\n"
         "complete -o default -o bashdefault -F _mlc mlc\n";
}

std::string zsh() {
  return "#compdef mlc\n"
         "# mlc completion zsh: put `source <(mlc completion zsh)` behind compinit in ~/.zshrc\n"
         "_mlc() {\n"
         "  if (( CURRENT == 2 )); then\n"
         "    local -a list=('" +
         names("' '", true) +
         "')\n"
         "    _describe command list\n"
         "  elif [[ $words[2] == doc ]]; then\n"
         "    compadd -- ${=$(mlc doc all 2>/dev/null | sed 's/^[a-z]*: //')}\n"
         "  elif [[ $words[CURRENT] == -* ]]; then\n"
         "    compadd -- ${=$(mlc $words[2] --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*')}\n"
         "  else\n"
         "    _files\n"
         "  fi\n"
         "}\n"
         "compdef _mlc mlc\n";
}

std::string fish() {
  std::string out = "# mlc completion fish: mlc completion fish > ~/.config/fish/completions/mlc.fish\n";
  for (const Command& c : commands())
    if (c.listed) out += std::string("complete -c mlc -f -n __fish_use_subcommand -a ") + c.name + " -d '" + c.summary + "'\n";
  return out + "complete -c mlc -f -n '__fish_seen_subcommand_from doc' -a \"(mlc doc all 2>/dev/null | sed 's/^[a-z]*: //' | string split "
               "' ')\"\n"
               "complete -c mlc -n 'string match -q -- \"-*\" (commandline -ct)' -a \"(mlc (commandline -opc)[2] --help 2>/dev/null | grep "
               "-oE -- '--[a-z][a-z-]*')\"\n";
}

}  // namespace

int completion_command(int argc, char** argv) {
  Arguments a("completion", "Prints the completion script of a shell: bash, zsh or fish.", {"SHELL"});
  a.example("source <(mlc completion bash)");
  if (!a.parse(argc, argv)) return kDone;
  std::string shell = a.text("SHELL");
  if (shell == "bash") std::cout << bash();
  else if (shell == "zsh") std::cout << zsh();
  else if (shell == "fish") std::cout << fish();
  else throw UsageError("no completion for '" + shell + "'; shells are bash, zsh and fish\n");
  return kDone;
}

}  // namespace mlc
