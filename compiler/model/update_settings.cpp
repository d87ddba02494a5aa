#include "compiler/model/update_settings.h"

#include "compiler/base/host_variables.h"
#include "compiler/base/text.h"
#include "compiler/model/value.h"
#include "compiler/spec/spec.h"

#include <algorithm>

namespace mlc {
namespace {

const std::vector<std::string> kUpdateKeys = {"params", "forward", "loss", "optimizer", "schedule", "every", "clip"};
int64_t read_every(const Node& node) {
  std::optional<Quantity> written = parse_quantity(node);
  bool steps = written && written->unit == Quantity::Unit::steps;
  if (!steps && !node.is(Node::Kind::integer)) throw SpecError(node.loc, "'every' of an update is a number of steps, as in 2 or '2 steps'");
  double value = steps ? written->value : node.number();
  if (!is_whole(value) || value < 1 || value > 1e9) throw SpecError(node.loc, "'every' must be a whole number of steps, at least 1");
  return static_cast<int64_t>(value);
}

UpdateSetting read_update(const Node& key, const Node& body, const Node* common_clip) {
  UpdateSetting out{.name = key.text, .loc = key.loc, .node = &body, .clip = common_clip};
  check_given_name(key, "an update's name");
  if (!body.is(Node::Kind::map)) throw SpecError(body.loc, "an update is a map of params, forward, loss, optimizer");
  for (const auto& [name, value] : body.entries) {
    if (std::find(kUpdateKeys.begin(), kUpdateKeys.end(), name.text) == kUpdateKeys.end())
      throw SpecError(unknown_name(name.loc, "key", name.text, kUpdateKeys));
    if (name.text == "params") {
      out.params = &value;
      if (value.is(Node::Kind::list))
        for (const Node& glob : value.items) out.match.push_back(glob.text);
      else if (value.is(Node::Kind::text)) out.match.push_back(value.text);
      else throw SpecError(value.loc, "'params' is a pattern of parameter paths, or a list of them");
    } else if (name.text == "forward") {
      if (!value.is(Node::Kind::map) || value.entries.empty()) throw SpecError(value.loc, "'forward' is a map of names to formulas");
      out.forward = &value;
    } else if (name.text == "every") {
      out.every = read_every(value);
    } else if (name.text == "schedule") {
      out.schedule = &value;
    } else if (name.text == "clip") {
      out.clip = value.is(Node::Kind::text) && value.text == "none" ? nullptr : &value;
    }
  }
  for (const char* needed : {"loss", "optimizer"})
    if (!body.find(needed)) throw SpecError(key.loc, "the update '" + key.text + "' needs '" + needed + "'");
  return out;
}

}  // namespace

bool UpdateSetting::trains(const std::string& path) const {
  return !params || std::any_of(match.begin(), match.end(), [&](const std::string& glob) { return glob_match(glob, path); });
}

std::vector<UpdateSetting> read_updates(const Node& spec, Diagnostics& diagnostics) {
  std::vector<UpdateSetting> out;
  const Node* train = spec.find("train");
  if (!train || !train->is(Node::Kind::map)) return out;
  const Node *clip = train->find("clip"), *updates = train->find("updates");
  if (clip && (clip->is(Node::Kind::null) || clip->text == "none")) clip = nullptr;
  auto setting = [&](const char* key) {
    const Node* n = train->find(key);
    return n && !n->is(Node::Kind::null) && n->text != "none" ? n : nullptr;
  };
  if (!updates) return {{.loc = train->loc, .node = train, .clip = clip, .accumulate = setting("accumulate"), .ema = setting("ema")}};
  for (const char* key : {"loss", "optimizer"})
    if (const Node* single = train->find_key(key))
      diagnostics.error(single->loc, "'" + std::string(key) + "' and 'updates' exclude each other: every update has its own",
                        {{train->find_key("updates")->loc, "'updates' stands here"}});
  if (updates->entries.empty()) diagnostics.error(updates->loc, "'updates' names no update");
  // A step's active updates are the bits of one number, and each has a variable for its rate.
  if (updates->entries.size() > kMostUpdates)
    diagnostics.error(updates->loc, "at most " + std::to_string(kMostUpdates) + " updates make a step");
  for (const auto& [key, body] : updates->entries) {
    if (out.size() == kMostUpdates) break;
    try {
      out.push_back(read_update(key, body, clip));
      out.back().accumulate = setting("accumulate");
      out.back().ema = setting("ema");
    } catch (const SpecError& error) {
      diagnostics.report(error.diagnostic);
    }
  }
  if (!diagnostics.errors() && std::none_of(out.begin(), out.end(), [](const UpdateSetting& u) { return u.every == 1; }))
    diagnostics.error(updates->loc, "no update runs at the first step: one of them needs 'every: 1'");
  return out;
}

}  // namespace mlc
