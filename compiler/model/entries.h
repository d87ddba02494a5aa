// The standard library as data: what documentation and the JSON schema are made from.
#pragma once
#include <string>
#include <vector>

namespace mlc {

struct EntryInfo {
  std::string name, kind;               ///< kind: block, function, loss, optimizer, schedule, transform, primitive
  std::string doc;
  struct Argument {
    std::string name, fallback, doc;    ///< fallback: the default as a formula; empty where the argument is required
    std::vector<std::string> types, words;
    bool required = false;
  };
  std::vector<Argument> arguments;      ///< of functions and losses too: what is behind the tensors comes by place or name
  std::vector<std::string> tensors;     ///< a block's parameters, which an item may tie
};

/// Every public entry, sorted by kind and name.
std::vector<EntryInfo> entry_infos();

/// Keys that a definition of this section (functions, blocks, optimizers, schedules) may have.
std::vector<std::string> definition_keys(const std::string& section);

/// Ops that are written in C++ because they join other items: layers, residual, add, ...
std::vector<std::string> structural_ops();

}  // namespace mlc
