// A generated sound on disk: STEM.wav, its spectrogram STEM.png, and STEM.json that says how it was made.
#pragma once
#include <tapedeck/io/node.h>

#include <cstdint>
#include <span>
#include <string>

namespace tapedeck::train {

// Writes the three files; the JSON is `how` and then file, sample_rate, samples, peak, rms and clipped, and is
// returned. ValueError when one exists and may not be overwritten: nothing is written then. IoError.
io::Node write_sound(const std::string& stem, std::span<const float> samples, int sample_rate, const io::Node& how,
                     bool overwrite);
void refuse_existing_sound(const std::string& stem);  // ValueError, for a check before long work

}  // namespace tapedeck::train
