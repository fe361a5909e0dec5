// A picture of a sound: time to the right, frequency upwards, loudness as colour.
#pragma once
#include <complex>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tapedeck::io {

// In-place discrete Fourier transform of a power-of-two length: X[k] = sum x[n] exp(-2 pi i k n / N) (Cooley-Tukey).
void fft(std::span<std::complex<double>> x);

// Loudness over time and frequency. db[t * bins + k] is frame t (centred on sample t * hop) at k * rate / (2 (bins -
// 1)) Hz, in dB of a full-scale sine; never below floor_db.
struct Spectrogram {
  std::int64_t frames = 0, bins = 0, hop = 0;
  std::vector<float> db;
};

constexpr float floor_db = -120;

// Periodic Hann window of `size` samples (a power of two from 16), zeros beyond the ends. ValueError: NaN, Inf, hop
// < 1.
Spectrogram spectrogram(std::span<const float> samples, std::int64_t size, std::int64_t hop);

// Writes an 8-bit PNG of about 1000 x 480 pixels with labelled axes and a colour bar, atomically (io/file.h), for mono
// samples; 80 dB below the loudest point and less are the darkest. ValueError when there are no samples or one is NaN.
void write_spectrogram_png(const std::string& path, std::span<const float> samples, int sample_rate,
                           bool overwrite = false);

}  // namespace tapedeck::io
