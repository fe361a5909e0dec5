// tapedeck generate: sound from a trained network.
#include <tapedeck/io/audio.h>
#include <tapedeck/io/file.h>
#include <tapedeck/train/generate.h>
#include <tapedeck/train/progress.h>
#include <tapedeck/train/sound_out.h>
#include <tapedeck/train/trained.h>
#include <tapedeck/train/version.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <thread>

#include "command.h"

namespace tapedeck::tools {
namespace {

namespace fs = std::filesystem;

struct Options {
  Network network;
  std::string prompt, output = ".", weights = "f32";
  double seconds = 5, prompt_seconds = 1, temperature = 1;
  std::int64_t seed = 0, count = 1;
  Machine machine;
  bool include_prompt = false, force = false, quiet = false, json = false;
};

struct Prompt {
  std::vector<std::int64_t> codes;
  io::Node about;  // null without one
};

// "a.wav@1.5": the file, and where in it the prompt begins, in seconds.
std::pair<std::string, double> split_prompt(const std::string& text) {
  std::error_code error;
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos || fs::exists(text, error)) return {text, 0};
  double start = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data() + at + 1, end, start);
  TD_CHECK(at > 0, ValueError, "--prompt ", io::printable(text), ": names no file before @, as in a.wav@1.5");
  TD_CHECK(problem == std::errc() && stop == end && start >= 0 && start < 1e9, ValueError, "--prompt ",
           io::printable(text), ": what follows @ must be a time in seconds, as in a.wav@1.5");
  return {text.substr(0, at), start};
}

Prompt read_prompt(const Options& o, const train::RunConfig& config, const train::Codec& codec) {
  Prompt p;
  if (o.prompt.empty()) return p;
  const auto [file, start] = split_prompt(o.prompt);
  const int rate = static_cast<int>(config.io.sample_rate);
  const io::Audio audio = io::read_audio(file, {.channel = config.io.channel_policy(),
                                                .sample_rate = rate,
                                                .strict = config.io.strict,
                                                .repair = config.io.repair});
  for (const std::string& text : audio.notes) note("{}: {}", io::printable(file), text);
  const auto first = static_cast<std::int64_t>(start * rate + 0.5);
  TD_CHECK(first < audio.frames(), DataError, "--prompt ", io::printable(o.prompt), ": begins after the recording's ",
           audio.frames(), " samples at ", rate, " Hz");
  const auto wanted = static_cast<std::int64_t>(o.prompt_seconds * rate + 0.5);
  const std::int64_t length = std::min(wanted, audio.frames() - first);
  if (length < wanted)
    note("{}: holds {} samples after the start of the prompt, {} were asked for", io::printable(file), length, wanted);
  p.codes =
      codec.encode(std::span(audio.samples).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(length)));
  p.about = io::Node::object(
      {{"file", io::printable(file)}, {"start", start}, {"samples", length}, {"included", o.include_prompt}});
  return p;
}

// Threads that share a step wait for each other by spinning: more than there are cores hold each other up.
int most_threads() { return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 64); }

int make(const Options& o, Device device) {
  train::Trained t = o.network.load(device);
  const int rate = static_cast<int>(t.config.io.sample_rate);
  const train::Codec codec(t.config.io.encoding, t.config.io.levels);
  const auto stem = [&](std::int64_t i) { return (fs::path(o.output) / "sample-").string() + std::to_string(i + 1); };
  if (!o.force) {
    for (std::int64_t i = 0; i < o.count; ++i) train::refuse_existing_sound(stem(i));
  }
  const Prompt prompt = read_prompt(o, t.config, codec);
  io::make_folders(o.output);
  if (!o.prompt.empty() && std::ssize(prompt.codes) < t.network->receptive_field()) {
    note("the prompt has {} samples, less than the receptive field of {}: silence is put in front", prompt.codes.size(),
         t.network->receptive_field());
  }

  const std::int64_t samples = std::max<std::int64_t>(1, static_cast<std::int64_t>(o.seconds * rate + 0.5));
  train::Progress progress(0, samples, o.quiet ? train::Progress::Style::quiet : train::Progress::Style::automatic);
  const double started = train::Progress::steady();
  auto streams = train::generate(
      *t.network, codec, o.prompt.empty() ? train::rows_of(t.starts) : std::vector<train::Codes>{prompt.codes},
      {.samples = samples,
       .streams = o.count,
       .temperature = o.temperature,
       .seed = static_cast<std::uint64_t>(o.seed),
       .weights = o.weights == "bf16" ? DType::bf16 : DType::f32,
       .threads = std::clamp(o.machine.threads, 1, most_threads()),
       .progress = [&](std::int64_t done) { progress.update(done, [] { return std::string("of sound:"); }); },
       .name = io::printable(t.checkpoint)});
  progress.finish();
  const double seconds = train::Progress::steady() - started;
  if (!o.quiet) {
    note("{} streams of {} samples in {:.1f} s: {:.0f} samples per second each, {:.2f} of real time", o.count, samples,
         seconds, static_cast<double>(samples) / seconds, static_cast<double>(samples) / seconds / rate);
  }

  io::Node all = io::Node::array();
  for (std::int64_t i = 0; i < o.count; ++i) {
    std::vector<std::int64_t>& codes = streams[static_cast<std::size_t>(i)];
    if (o.include_prompt) codes.insert(codes.begin(), prompt.codes.begin(), prompt.codes.end());
    const io::Node how = io::Node::object(
        {{"tapedeck", full_version()},
         {"checkpoint", io::printable(t.checkpoint)},
         {"step", t.step},
         {"seed", o.seed},
         {"stream", i},
         {"temperature", o.temperature},
         {"weights", o.weights},
         {"prompt", prompt.about.is_null() ? io::Node::object({{"start", i % t.starts.size(0)}}) : prompt.about}});
    const io::Node about = train::write_sound(stem(i), codec.decode(codes), rate, how, o.force);
    all.push(about);
    if (o.json) continue;
    const std::int64_t clipped = about.at("clipped").integer();
    result("{}.wav: {:.2f} s at {} Hz, peak {:.3f}, rms {:.3f}, {}\n", io::printable(stem(i)),
           static_cast<double>(codes.size()) / rate, rate, about.at("peak").real(), about.at("rms").real(),
           clipped == 0 ? "nothing clipped" : fmt::format("{} samples clipped", clipped));
  }
  if (o.json) result_json(all);
  return 0;
}

int generate(const Options& o) {
  const Device device = o.machine.apply();
  return with_memory_advice("ask for shorter sounds with --seconds, or fewer with -n", [&] { return make(o, device); });
}

}  // namespace

void add_generate(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(
      app, run, "generate", "Make sound with a trained network",
      "  tapedeck generate RUN --seconds 5 -o out/\n"
      "  tapedeck generate RUN --seconds 5 --prompt a.wav@1.5 --temperature 0.9 --seed 1 -n 2 -o out/\n"
      "Without --prompt, sound i continues one of eight excerpts of the recordings that the checkpoint keeps.\n"
      "Writes sample-1.wav, .png (its spectrogram) and .json (how it was made), and so on. A sound has --seconds of "
      "new\n"
      "samples; the prompt goes in front of them only with --include-prompt. The same seed gives the same bytes, and\n"
      "sound i does not depend on how many are made. With --threads 2 two threads share each step: faster on cores "
      "that\n"
      "nobody else uses, the same bytes.",
      generate);
  o->network.add_to(*sub);
  sub->add_option("--seconds", o->seconds, "length of the new sound")->check(between(1e-4, 1e5))->capture_default_str();
  CLI::Option* prompt = sub->add_option("--prompt", o->prompt, "recording to continue, and where it begins: a.wav@1.5")
                            ->check(path())
                            ->type_name("FILE@SECONDS");
  sub->add_option("--prompt-seconds", o->prompt_seconds, "length of the prompt")
      ->needs(prompt)
      ->check(between(1e-4, 1e5))
      ->capture_default_str();
  sub->add_flag("--include-prompt", o->include_prompt, "put the (quantised) prompt in front of the sound")
      ->needs(prompt);
  sub->add_option("--temperature", o->temperature, "below 1 more likely, above 1 wilder; 0 takes the likeliest code")
      ->check(between(0, 100))
      ->capture_default_str();
  sub->add_option("--seed", o->seed, "of the random choices")->check(seed_number())->capture_default_str();
  sub->add_option("--weights", o->weights, "f32, or rounded to bf16: faster, another sound")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  sub->add_option("-n,--count", o->count, "number of sounds")->check(CLI::Range(1, 4096))->capture_default_str();
  sub->add_option("-o,--output", o->output, "folder")->check(path())->capture_default_str();
  o->machine.add_to(*sub);
  sub->add_flag("--force", o->force, "overwrite");
  sub->add_flag("--quiet", o->quiet, "no progress");
  sub->add_flag("--json", o->json, "the results for machines");
}

}  // namespace tapedeck::tools
