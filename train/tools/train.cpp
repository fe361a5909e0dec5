// tapedeck train
#include <tapedeck/io/config.h>
#include <tapedeck/io/file.h>
#include <tapedeck/train/data.h>
#include <tapedeck/train/run.h>
#include <tapedeck/train/trained.h>
#include <tapedeck/train/version.h>

#include <filesystem>

#include "command.h"

namespace tapedeck::tools {
namespace {

namespace fs = std::filesystem;
using train::RunConfig;

struct Options {
  std::string config, data, out, resume, init, precision;
  std::optional<std::string> init_prefix;
  std::vector<std::string> set;
  std::optional<std::int64_t> seed;
  Machine machine;
  bool force = false, print_config = false, quiet = false, json = false;
};

void change(RunConfig& config, const Options& o) {
  std::vector<std::string> set = o.set;
  if (o.seed) set.push_back("train.seed=" + std::to_string(*o.seed));
  io::set(config, set);
}

DType precision_of(const std::string& text) {
  return text == "bf16" ? DType::bf16 : text == "f16" ? DType::f16 : DType::f32;
}

// One ending, one exit code; the results are what stdout gets.
int report(const train::RunResult& r, const std::string& run, const Options& o) {
  if (r.ending == train::Ending::interrupted) {
    note("stopped by signal {} and saved at step {}; go on with: tapedeck train --resume {}", r.signal, r.step,
         io::printable(run));
    return 128 + r.signal;
  }
  TD_CHECK(r.ending != train::Ending::not_finite, Error, r.problem);
  const double gain = 100 * (1 - r.score.bits / r.score.order1);
  if (o.json) {
    result_json(io::Node::object({{"run", io::printable(run)},
                                  {"step", r.step},
                                  {"seconds", r.seconds},
                                  {"skipped_steps", r.bad_steps},
                                  {"valid_bits", r.score.bits},
                                  {"order0_bits", r.score.order0},
                                  {"order1_bits", r.score.order1},
                                  {"valid_samples", r.score.targets}}));
    return 0;
  }
  result("run {}: {} steps, {} in this call{}\n", io::printable(run), r.step, train::duration_text(r.seconds),
         r.bad_steps > 0 ? fmt::format("; {} skipped", r.bad_steps) : "");
  result("held out: {:.4f} bits per sample; order-0 {:.4f}, order-1 {:.4f}; {:.1f} % {} order-1 ({} samples)\n",
         r.score.bits, r.score.order0, r.score.order1, std::abs(gain), gain >= 0 ? "below" : "above", r.score.targets);
  return 0;
}

train::Trainer prepare(const RunConfig& config, nn::Part<nn::Network> network, const io::SoundSet& sounds,
                       const Options& o, Device device, DType precision) {
  TD_CHECK(precision == DType::f32 || device.type == DeviceType::cuda, DeviceError, "train: --precision ",
           name(precision), " needs a GPU: add --device cuda, or leave it away");
  train::Trainer trainer(config, std::move(network), sounds, device, precision);
  if (!o.quiet) {
    note("{} parameters, receptive field {} samples ({:.1f} ms); {} windows to draw from",
         trainer.network().parameter_count(), trainer.network().receptive_field(),
         1e3 * static_cast<double>(trainer.network().receptive_field()) / sounds.sample_rate(),
         trainer.codes().train_windows());
  }
  return trainer;
}

int execute(train::RunFolder& folder, train::Trainer& trainer, const Options& o) {
  const auto style = o.quiet ? train::Progress::Style::quiet : train::Progress::Style::automatic;
  return report(train::run_training(folder, trainer, style), folder.path(), o);
}

int start(const Options& o, Device device) {
  TD_CHECK(!o.config.empty(), ConfigError, "train: name a config file (tapedeck new makes one), or --resume RUN");
  std::error_code error;
  TD_CHECK(fs::exists(o.config, error), ConfigError, io::printable(o.config), ": there is no such config file");
  RunConfig config = io::load_file<RunConfig>(o.config);
  change(config, o);
  nn::Part<nn::Network> network = train::build_network(config);
  if (o.print_config) {
    result_json(io::save(config));
    return 0;
  }
  TD_CHECK(!o.data.empty(), ConfigError, "train: name the recordings with --data");
  TD_CHECK(!o.out.empty(), ConfigError, "train: name the run folder with --out");
  train::RunFolder::check_new(o.out, o.force);
  const io::SoundSet sounds = train::read_sounds(o.data, config, *network, !o.quiet);
  config.io.sample_rate = sounds.sample_rate();
  const DType precision = precision_of(o.precision);
  train::Trainer trainer = prepare(config, std::move(network), sounds, o, device, precision);
  io::Node about = io::Node::object();
  about["format_version"] = 1;
  about["tapedeck"] = version();
  about["commit"] = *commit() ? io::Node(commit()) : io::Node();
  about["compiler"] = __VERSION__;
  about["seed"] = config.train.seed;
  about["device"] = to_string(device);
  about["precision"] = name(precision);
  about["data"] = sounds.manifest();
  std::optional<train::RunFolder::Init> init;
  if (!o.init.empty()) {
    for (const std::string& text : train::load_weights(trainer.network(), o.init, {}, o.init_prefix)) note("{}", text);
    init = {o.init, trainer.network().state_dict()};
  }
  train::RunFolder folder = train::RunFolder::create(o.out, config, about, o.force, init);
  return execute(folder, trainer, o);
}

int resume(const Options& o, Device device) {
  TD_CHECK(o.config.empty() && o.out.empty() && o.init.empty() && !o.force && !o.seed, ConfigError,
           "train: --resume goes on with a run as it is: no config file, --out, --init, --seed or --force beside it");
  train::RunFolder folder = train::RunFolder::open(o.resume);
  RunConfig config = folder.config();
  change(config, o);
  TD_CHECK(io::equal(config.net, folder.config().net) && io::equal(config.io, folder.config().io), ConfigError,
           "train: --resume can change train.* alone; start a new run for another net or io");
  TD_CHECK(config.train.seed == folder.config().train.seed, ConfigError,
           "train: --resume goes on with the seed of the run; start a new run for another train.seed");
  if (o.print_config) {
    result_json(io::save(config));
    return 0;
  }
  io::Node about = train::read_about(folder.file("run.json"));
  const io::Node saved = about.at("data");
  nn::Part<nn::Network> network = train::build_network(config);
  const io::SoundSet sounds = train::read_sounds_again(saved, o.data, config, *network, !o.quiet);
  const std::string change = sounds.describe_change(saved);
  TD_CHECK(change.empty(), DataError, "train: the recordings are not those that the run was started with: ", change,
           "; bring them back, or start a new run");
  const io::Node* saved_precision = about.find("precision");
  const std::string precision = saved_precision ? saved_precision->string() : "f32";
  TD_CHECK(o.precision.empty() || o.precision == precision, ConfigError, "train: --resume goes on in ", precision,
           ", as the run was started; start a new run for --precision ", o.precision);
  train::Trainer trainer = prepare(config, std::move(network), sounds, o, device, precision_of(precision));
  if (!o.data.empty()) {  // found there from now on
    about["data"] = sounds.manifest();
    folder.set_about(about);
  }
  return execute(folder, trainer, o);
}

int train_command(const Options& o) {
  const Device device = o.machine.apply();
  train::register_all();
  return with_memory_advice(
      "here: lower train.batch_size or train.segment, raise train.shards, or use fewer recordings",
      [&] { return o.resume.empty() ? start(o, device) : resume(o, device); });
}

}  // namespace

void add_train(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(
      app, run, "train", "Train a network on recordings, or go on with it",
      "  tapedeck train cfg.json --data SOUNDS --out RUN\n"
      "  tapedeck train cfg.json --data SOUNDS --out RUN --set train.max_steps=2000 --seed 1 --threads 2\n"
      "  tapedeck train --resume RUN\n"
      "  tapedeck train --resume RUN --set train.max_steps=4000\n"
      "Ctrl-C saves and stops; a second one stops at once. --resume goes on as if nothing had happened.",
      train_command);
  sub->add_option("CONFIG", o->config, "config file (tapedeck new writes one)")->check(path());
  sub->add_option("--data", o->data, "recordings: a file, a folder, a glob or a metadata.csv")->check(path());
  sub->add_option("--out", o->out, "run folder to make")->check(path());
  sub->add_option("--resume", o->resume, "run folder to go on with")->check(path());
  CLI::Option* init =
      sub->add_option("--init", o->init,
                      "weights to start from: a run, a checkpoint, or a .safetensors, .pth or .npz file")
          ->check(path());
  sub->add_option("--init-prefix", o->init_prefix,
                  "what their names begin with in that file (default: found by itself)")
      ->needs(init)
      ->type_name("NAME.");
  sub->add_option("--set", o->set,
                  "path=value, path=@file.json, **.name=value or ~path: change the config, as often as needed")
      ->type_name("PATH=VALUE");
  sub->add_option("--seed", o->seed, "train.seed")->check(seed_number());
  o->machine.add_to(*sub);
  sub->add_option("--precision", o->precision,
                  "of forward and backward on a GPU; the weights that are kept are f32 (default: f32)")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}));
  sub->add_flag("--force", o->force, "delete an older run in --out");
  sub->add_flag("--print-config", o->print_config, "print the config that would be used, and stop");
  sub->add_flag("--quiet", o->quiet, "no progress");
  sub->add_flag("--json", o->json, "the result for machines");
}

}  // namespace tapedeck::tools
