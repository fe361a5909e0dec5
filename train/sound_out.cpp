#include <tapedeck/io/audio.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/spectrogram.h>
#include <tapedeck/train/sound_out.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace tapedeck::train {

void refuse_existing_sound(const std::string& stem) {
  for (const char* extension : {".wav", ".png", ".json"}) io::refuse_existing(stem + extension);
}

io::Node write_sound(const std::string& stem, std::span<const float> samples, int sample_rate, const io::Node& how,
                     bool overwrite) {
  if (!overwrite) refuse_existing_sound(stem);
  float peak = 0;
  double energy = 0;
  for (const float x : samples) {
    peak = std::max(peak, std::abs(x));
    energy += double{x} * x;
  }
  io::Node about = how;
  about["file"] = io::printable(std::filesystem::path(stem).filename().string() + ".wav");
  about["sample_rate"] = sample_rate;
  about["samples"] = std::ssize(samples);
  about["peak"] = double{peak};
  about["rms"] = samples.empty() ? 0.0 : std::sqrt(energy / static_cast<double>(samples.size()));
  about["clipped"] = io::write_wav(stem + ".wav", samples, 1, sample_rate, io::WavFormat::pcm16, overwrite);
  io::write_spectrogram_png(stem + ".png", samples, sample_rate, overwrite);
  io::write_file_atomic(stem + ".json", io::dump_json(about) + "\n", overwrite);
  return about;
}

}  // namespace tapedeck::train
