#include <fmt/format.h>
#include <tapedeck/io/file.h>
#include <tapedeck/train/data.h>
#include <tapedeck/train/progress.h>
#include <tapedeck/train/trainer.h>

#include <cstdio>
#include <filesystem>

namespace tapedeck::train {

io::SoundSet read_sounds(const std::string& source, const RunConfig& config, const nn::Network& network, bool tell) {
  io::SoundSet sounds(std::filesystem::absolute(source).string(),
                      {.sample_rate = static_cast<int>(config.io.sample_rate),
                       .channel = config.io.channel_policy(),
                       .strict = config.io.strict,
                       .repair = config.io.repair,
                       .min_samples = window_length(network, config.train),
                       .min_why = fmt::format(" (train.segment = {} + {} that the network looks back on)",
                                              config.train.segment, network.shift()),
                       .valid_fraction = config.io.valid_fraction});
  if (!tell) return sounds;
  const auto seconds = [&](io::Split side) {
    return duration_text(static_cast<double>(sounds.samples(side)) / sounds.sample_rate());
  };
  std::fputs(fmt::format("{}: {} files used, {} skipped; {} to train on, {} held out; {} Hz\n", io::printable(source),
                         sounds.files().size(), sounds.skipped().size(), seconds(io::Split::train),
                         seconds(io::Split::valid), sounds.sample_rate())
                 .c_str(),
             stderr);
  constexpr std::size_t most = 10;
  for (std::size_t i = 0; i < std::min(most, sounds.skipped().size()); ++i) {
    std::fputs(
        fmt::format("  skipped {}: {}\n", io::printable(sounds.skipped()[i].path), sounds.skipped()[i].reason).c_str(),
        stderr);
  }
  if (sounds.skipped().size() > most) {
    std::fputs(fmt::format("  and {} more; tapedeck data inspect {} --min-samples {} --json lists all\n",
                           sounds.skipped().size() - most, io::printable(source), window_length(network, config.train))
                   .c_str(),
               stderr);
  }
  if (!sounds.runs().empty()) {
    std::fputs(fmt::format("  {} run folders in it left out\n", sounds.runs().size()).c_str(), stderr);
  }
  std::size_t resampled = 0;
  for (const io::SoundFile& file : sounds.files()) resampled += file.info.sample_rate != sounds.sample_rate();
  if (resampled > 0)
    std::fputs(fmt::format("  {} files resampled to {} Hz\n", resampled, sounds.sample_rate()).c_str(), stderr);
  return sounds;
}

io::SoundSet read_sounds_again(const io::Node& saved, const std::string& moved_to, const RunConfig& config,
                               const nn::Network& network, bool tell) {
  if (!moved_to.empty()) return read_sounds(moved_to, config, network, tell);
  try {
    return read_sounds(io::from_printable(saved.at("source").string()), config, network, tell);
  } catch (const DataError& error) {
    throw DataError(std::string(error.what()) + "; if the recordings moved, name them with --data");
  }
}

}  // namespace tapedeck::train
