// tapedeck eval: how well a trained network predicts recordings.
#include <tapedeck/io/file.h>
#include <tapedeck/train/autoregressive.h>
#include <tapedeck/train/data.h>
#include <tapedeck/train/run_folder.h>
#include <tapedeck/train/trained.h>

#include <cmath>
#include <filesystem>

#include "command.h"

namespace tapedeck::tools {
namespace {

namespace fs = std::filesystem;

struct Options {
  Network network;
  std::string data, side = "valid";
  Machine machine;
  bool json = false;
};

// What the run that made a checkpoint remembers of its recordings; null when the checkpoint stands alone.
io::Node trained_on(const std::string& checkpoint) {
  std::error_code error;
  const fs::path checkpoints = fs::canonical(checkpoint, error).parent_path();
  const std::string about = (checkpoints.parent_path() / "run.json").string();
  if (checkpoints.filename() != "checkpoints" || !fs::exists(about, error)) return {};
  return train::read_about(about).at("data");
}

int score(const Options& o, Device device) {
  train::Trained t = o.network.load(device);
  const io::Node own = trained_on(t.checkpoint);
  TD_CHECK(!o.data.empty() || own.is_object(), ConfigError, "eval: ", io::printable(o.network.run),
           " does not say what it was trained on; name the recordings with --data");
  const std::string source = own.is_object() ? io::from_printable(own.at("source").string()) : "";
  const io::SoundSet sounds = train::read_sounds_again(own, o.data, t.config, *t.network, !o.json);
  std::error_code error;
  const bool the_same =
      own.is_object() && (sounds.source() == source || fs::equivalent(sounds.source(), source, error));
  const std::string changed = the_same ? sounds.describe_change(own) : "";
  if (!changed.empty()) {
    note("warning: the recordings changed since the run was started: {}; what is scored may have been trained on",
         changed);
  }
  const train::Codec codec(t.config.io.encoding, t.config.io.levels);
  const train::CodeSet codes(sounds, codec, t.network->shift(), t.config.train.segment);
  std::vector<train::ScoredWindow> windows;
  for (const io::Split side : {io::Split::train, io::Split::valid}) {
    if (o.side != "all" && (o.side == "train") != (side == io::Split::train)) continue;
    const auto some = codes.scored(side);
    windows.insert(windows.end(), some.begin(), some.end());
  }
  const train::Score s = train::score(*t.network, codes, windows, t.config.train.batch_size);
  TD_CHECK(std::isfinite(s.bits), Error, io::printable(t.checkpoint),
           ": the network predicts values that are not finite; take an earlier checkpoint");
  if (o.json) {
    result_json(io::Node::object({{"checkpoint", io::printable(t.checkpoint)},
                                  {"step", t.step},
                                  {"side", o.side},
                                  {"changed", changed.empty() ? io::Node() : io::Node(changed)},
                                  {"samples", s.targets},
                                  {"bits", s.bits},
                                  {"order0_bits", s.order0},
                                  {"order1_bits", s.order1}}));
    return 0;
  }
  const double gain = 100 * (1 - s.bits / s.order1);
  result("step {}, {} side: {:.4f} bits per sample over {} samples\n", t.step, o.side, s.bits, s.targets);
  result("baselines on the same samples: order-0 {:.4f}, order-1 {:.4f}; {:.1f} % {} order-1\n", s.order0, s.order1,
         std::abs(gain), gain >= 0 ? "below" : "above");
  return 0;
}

int eval(const Options& o) {
  const Device device = o.machine.apply();
  return with_memory_advice("use fewer recordings with --data", [&] { return score(o, device); });
}

}  // namespace

void add_eval(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(app, run, "eval", "How well a trained network predicts recordings",
                                   "  tapedeck eval RUN\n"
                                   "  tapedeck eval RUN --data SOUNDS --side all --json\n"
                                   "The recordings are split as the run's config says: eval scores the side that was\n"
                                   "held out, and counts the baselines on the other one.",
                                   eval);
  o->network.add_to(*sub);
  sub->add_option("--data", o->data, "recordings (default: those of the run)")->check(path());
  sub->add_option("--side", o->side, "valid, train or all")
      ->check(CLI::IsMember({"valid", "train", "all"}))
      ->capture_default_str();
  o->machine.add_to(*sub);
  sub->add_flag("--json", o->json, "for machines");
}

}  // namespace tapedeck::tools
