// Paths within a spec.
#pragma once
#include "compiler/base/loc.h"
#include "compiler/spec/node.h"

#include <functional>
#include <map>
#include <string>

namespace mlc {

/// Calls `f` with every value of a spec that is a path: data.root, the files of the data's sources, files of `init`.
void each_path(Node& spec, const std::function<void(Node&)>& f);

/// Paths of `--set` are meant from the current folder, those of an included file from that file's: where something lies
/// there, they become absolute. The others are looked for later (the spec's folder, data.root, $MLC_DATA).
void resolve_paths(Node& spec, const std::string& spec_path, const Sources& sources);

/// For the spec in a run's folder: every path absolute; `files` tells where those of the data were found.
Node with_absolute_paths(Node spec, const std::string& spec_path, const std::map<std::string, std::string>& files);

}  // namespace mlc
