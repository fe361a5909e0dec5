// tapedeck eval: how well a trained network predicts recordings.
#include <tapedeck/io/file.h>
#include <tapedeck/train/autoregressive.h>
#include <tapedeck/train/data.h>
#include <tapedeck/train/trained.h>

#include <filesystem>

#include "command.h"

namespace tapedeck::tools {
namespace {

struct Options {
  std::string run, data, side = "valid", checkpoint = "latest";
  Machine machine;
  bool json = false;
};

int eval(const Options& o) {
  o.machine.apply();
  train::Trained t = train::load_trained(o.run, o.checkpoint == "best" ? train::Which::best : train::Which::latest);
  for (const std::string& text : t.notes) note("{}", text);
  std::string data = o.data;
  if (data.empty()) {
    const std::string about = o.run + "/run.json";
    std::error_code error;
    TD_CHECK(std::filesystem::exists(about, error), ConfigError, "eval: ", io::printable(o.run),
             " does not say what it was trained on; name the recordings with --data");
    data = train::read_state(about).at("data").at("source").string();
  }
  const io::SoundSet sounds = train::read_sounds(data, t.config, *t.network, !o.json);
  const train::Codec codec(t.config.io.encoding, t.config.io.levels);
  const train::CodeSet codes(sounds, codec, t.network->shift(), t.config.train.segment);
  std::vector<train::ScoredWindow> windows;
  for (const io::Split side : {io::Split::train, io::Split::valid}) {
    if (o.side != "all" && (o.side == "train") != (side == io::Split::train)) continue;
    const auto some = codes.scored(side);
    windows.insert(windows.end(), some.begin(), some.end());
  }
  const train::Score s = train::score(*t.network, codes, windows, t.config.train.batch_size);
  if (o.json) {
    result_json(io::Node::object({{"checkpoint", io::printable(t.checkpoint)},
                                  {"step", t.step},
                                  {"side", o.side},
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

}  // namespace

void add_eval(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(app, run, "eval", "How well a trained network predicts recordings",
                                   "  tapedeck eval RUN\n"
                                   "  tapedeck eval RUN --data SOUNDS --side all --json\n"
                                   "The recordings are split as the run's config says: eval scores the side that was\n"
                                   "held out, and counts the baselines on the other one.",
                                   eval);
  sub->add_option("RUN", o->run, "run folder or checkpoint folder")->required();
  sub->add_option("--data", o->data, "recordings (default: those of the run)");
  sub->add_option("--side", o->side, "valid, train or all")
      ->check(CLI::IsMember({"valid", "train", "all"}))
      ->capture_default_str();
  sub->add_option("--checkpoint", o->checkpoint, "latest or best")
      ->check(CLI::IsMember({"latest", "best"}))
      ->capture_default_str();
  o->machine.add_to(*sub);
  sub->add_flag("--json", o->json, "for machines");
}

}  // namespace tapedeck::tools
