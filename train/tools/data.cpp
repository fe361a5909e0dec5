// tapedeck data inspect
#include <tapedeck/io/dataset.h>
#include <tapedeck/io/file.h>

#include "command.h"

namespace tapedeck::tools {
namespace {

struct Options {
  std::string sounds, channel = "mix";
  int rate = 0;
  std::int64_t min_samples = 1;
  double valid = 0.05;
  bool strict = false, repair = false, json = false;
};

// Sets are mono: all channels are no choice.
int channel_of(const std::string& name) {
  try {
    if (name != "all") return io::channel_policy(name);
  } catch (const ValueError&) {
  }
  TD_FAIL(ValueError, "--channel ", io::printable(name), ": choose mix, left, right or a number from 0 to 63");
}

int inspect(const Options& o) {
  const io::SoundSet sounds(o.sounds, {.sample_rate = o.rate,
                                       .channel = channel_of(o.channel),
                                       .strict = o.strict,
                                       .repair = o.repair,
                                       .min_samples = o.min_samples,
                                       .valid_fraction = o.valid});
  if (o.json) {
    result_json(sounds.report());
  } else {
    result("{}\n", sounds.report_text());
  }
  return 0;
}

}  // namespace

void add_data(CLI::App& app, Run& run) {
  CLI::App* data = app.add_subcommand("data", "Look at recordings");
  data->footer("Examples:\n  tapedeck data inspect my_sounds/");
  auto [sub, o] = command<Options>(*data, run, "inspect", "What a file, folder or glob of recordings holds",
                                   "  tapedeck data inspect my_sounds/\n"
                                   "  tapedeck data inspect 'takes/**/*.flac' --json",
                                   inspect);
  sub->add_option("SOUNDS", o->sounds, "a file, a folder, a glob or a metadata.csv")->check(path())->required();
  sub->add_option("--sample-rate", o->rate, "resample to this rate in Hz (default: the most common one)")
      ->check(CLI::Range(1, 768000));
  sub->add_option("--channel", o->channel, "mix, left, right or a number from 0")->capture_default_str();
  sub->add_option("--min-samples", o->min_samples, "skip files with fewer samples, as train does below its window")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  sub->add_option("--valid", o->valid, "share that is held out")->check(between(1e-6, 0.9))->capture_default_str();
  sub->add_flag("--strict", o->strict, "skip files that hold less than their header promises");
  sub->add_flag("--repair", o->repair, "set NaN and Inf samples to 0 instead of skipping the file");
  sub->add_flag("--json", o->json, "everything, for machines");
}

}  // namespace tapedeck::tools
