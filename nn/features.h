// Features of recordings as modules without parameters, with torchaudio's names, definitions and defaults; time comes
// before bins: [batch, time] -> [batch, frames, bins]. Windows and filterbanks are buffers outside the state dict.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

#include <cstdint>
#include <optional>

namespace tapedeck {

constexpr auto names(PadMode*) {
  return io::enum_names<PadMode>({{PadMode::constant, "constant"},
                                  {PadMode::reflect, "reflect"},
                                  {PadMode::replicate, "replicate"},
                                  {PadMode::circular, "circular"}});
}

namespace nn {

enum class Window { hann, hamming, blackman, bartlett, kaiser };
constexpr auto names(Window*) {
  return io::enum_names<Window>({{Window::hann, "hann"},
                                 {Window::hamming, "hamming"},
                                 {Window::blackman, "blackman"},
                                 {Window::bartlett, "bartlett"},
                                 {Window::kaiser, "kaiser"}});
}

// ---- spectra --------------------------------------------------------------------------------------------------------
struct FramesConfig {
  std::int64_t n_fft = 400;
  std::optional<std::int64_t> win_length{}, hop_length{};
  std::int64_t pad = 0;
  Window window_fn = Window::hann;
  bool normalized = false, center = true;
  PadMode pad_mode = PadMode::reflect;
  static constexpr const char* type_name = "Frames";
  static constexpr void fields(auto&& f) {
    using C = FramesConfig;
    f("n_fft", &C::n_fft, io::Meta{.min = 1, .max = 1 << 24, .help = "length of the transform", .unit = "samples"});
    f("win_length", &C::win_length,
      io::Meta{.min = 1, .max = 1 << 24, .help = "length of the window; null: n_fft", .unit = "samples"});
    f("hop_length", &C::hop_length,
      io::Meta{.min = 1, .max = 1 << 24, .help = "between frames; null: half of the window", .unit = "samples"});
    f("pad", &C::pad, io::Meta{.min = 0, .max = 1 << 24, .help = "zeros on both sides", .unit = "samples"});
    f("window_fn", &C::window_fn, io::Meta{.help = "one period of it"});
    f("normalized", &C::normalized, io::Meta{.help = "divide by the root of the sum of the window's squares"});
    f("center", &C::center, io::Meta{.help = "frames are centred on their samples, not begun by them"});
    f("pad_mode", &C::pad_mode, io::Meta{.help = "what lies beyond the ends then"});
  }
  void validate(io::Issues& issues) const;
  std::int64_t window_length() const { return win_length.value_or(n_fft); }
  std::int64_t hop() const { return hop_length.value_or(std::max<std::int64_t>(window_length() / 2, 1)); }
};

struct SpectrogramConfig : FramesConfig {
  std::optional<double> power = 2;
  static constexpr const char* type_name = "Spectrogram";
  static constexpr io::Doc doc{
      "|STFT|^power of recordings [batch, time] or [time]: [batch, frames, n_fft / 2 + 1]; without power the complex "
      "numbers, a last dimension of 2.",
      "Griffin & Lim, Signal Estimation from Modified Short-Time Fourier Transform, 1984"};
  static constexpr void fields(auto&& f) {
    FramesConfig::fields(f);
    f("power", &SpectrogramConfig::power,
      io::Meta{.min = 0, .max = 100, .help = "of the magnitudes: 1 or 2; null: complex numbers"});
  }
};
class Spectrogram : public Configured<SpectrogramConfig> {
 public:
  explicit Spectrogram(SpectrogramConfig config = {});
  Tensor forward(const Tensor& x) override;
  Param window;
};

struct InverseSpectrogramConfig : FramesConfig {
  static constexpr const char* type_name = "InverseSpectrogram";
  static constexpr io::Doc doc{
      "The recordings [batch, time] whose complex Spectrogram [batch, frames, n_fft / 2 + 1, 2] is nearest: the sum of "
      "the windowed frames over the sum of the windows' squares.",
      "Griffin & Lim, Signal Estimation from Modified Short-Time Fourier Transform, 1984"};
  static constexpr void fields(auto&& f) { FramesConfig::fields(f); }
};
class InverseSpectrogram : public Configured<InverseSpectrogramConfig>, public Callable<InverseSpectrogram> {
 public:
  explicit InverseSpectrogram(InverseSpectrogramConfig config = {});
  using Callable<InverseSpectrogram>::operator();
  Tensor forward(const Tensor& x) override { return forward(x, std::nullopt); }
  Tensor forward(const Tensor& x, std::optional<std::int64_t> length);  // cut or continued with zeros to that length
  Param window;
};

// ---- mel scale ------------------------------------------------------------------------------------------------------
enum class MelFormula { htk, slaney };
constexpr auto names(MelFormula*) {
  return io::enum_names<MelFormula>({{MelFormula::htk, "htk"}, {MelFormula::slaney, "slaney"}});
}
enum class MelNorm { none, slaney };
constexpr auto names(MelNorm*) {
  return io::enum_names<MelNorm>({{MelNorm::none, "none"}, {MelNorm::slaney, "slaney"}});
}

namespace detail {
// The bands of a mel scale, of any config that has them.
template <class C>
constexpr void mel_fields(auto&& f) {
  f("n_mels", &C::n_mels, io::Meta{.min = 1, .max = 4096, .help = "bands"});
  f("sample_rate", &C::sample_rate, io::Meta{.min = 2, .max = 768000, .help = "of the recordings", .unit = "Hz"});
  f("f_min", &C::f_min, io::Meta{.min = 0, .max = 384000, .help = "where the lowest band begins", .unit = "Hz"});
  f("f_max", &C::f_max,
    io::Meta{.min = 0, .max = 384000, .help = "where the highest ends; null: half of sample_rate", .unit = "Hz"});
  f("norm", &C::norm, io::Meta{.help = "slaney: divide each band by its width"});
  f("mel_scale", &C::mel_scale, io::Meta{.help = "htk: 2595 log10(1 + f / 700); slaney: a line up to 1 kHz"});
}
}  // namespace detail

struct MelScaleConfig {
  std::int64_t n_mels = 128, sample_rate = 16000;
  double f_min = 0;
  std::optional<double> f_max{};
  std::int64_t n_stft = 201;
  MelNorm norm = MelNorm::none;
  MelFormula mel_scale = MelFormula::htk;
  static constexpr const char* type_name = "MelScale";
  static constexpr io::Doc doc{
      "Bins [..., n_stft] of a spectrogram in bands [..., n_mels]: triangles whose corners are even steps of the mel "
      "scale.",
      "Stevens, Volkmann & Newman, A Scale for the Measurement of the Psychological Magnitude Pitch, 1937"};
  static constexpr void fields(auto&& f) {
    detail::mel_fields<MelScaleConfig>(f);
    f("n_stft", &MelScaleConfig::n_stft, io::Meta{.min = 1, .max = 1 << 24, .help = "bins: n_fft / 2 + 1"});
  }
  void validate(io::Issues& issues) const;
};
class MelScale : public Configured<MelScaleConfig> {
 public:
  explicit MelScale(MelScaleConfig config = {});
  Tensor forward(const Tensor& x) override;
  Param fb;  // [n_stft, n_mels]
};

struct MelSpectrogramConfig : SpectrogramConfig {
  std::int64_t n_mels = 128, sample_rate = 16000;
  double f_min = 0;
  std::optional<double> f_max{};
  MelNorm norm = MelNorm::none;
  MelFormula mel_scale = MelFormula::htk;
  static constexpr const char* type_name = "MelSpectrogram";
  static constexpr io::Doc doc{"MelScale of Spectrogram: recordings [batch, time] in bands [batch, frames, n_mels].",
                               "Davis & Mermelstein, Comparison of Parametric Representations for Monosyllabic Word "
                               "Recognition, 1980"};
  static constexpr void fields(auto&& f) {
    SpectrogramConfig::fields(f);
    detail::mel_fields<MelSpectrogramConfig>(f);
  }
  void validate(io::Issues& issues) const;
};
class MelSpectrogram : public Configured<MelSpectrogramConfig> {
 public:
  explicit MelSpectrogram(MelSpectrogramConfig config = {});
  Tensor forward(const Tensor& x) override { return mel_scale(spectrogram(x)); }
  Part<Spectrogram> spectrogram;
  Part<MelScale> mel_scale;
};

// ---- levels and coefficients ----------------------------------------------------------------------------------------
enum class SpectrumType { power, magnitude };
constexpr auto names(SpectrumType*) {
  return io::enum_names<SpectrumType>({{SpectrumType::power, "power"}, {SpectrumType::magnitude, "magnitude"}});
}
struct AmplitudeToDBConfig {
  SpectrumType stype = SpectrumType::power;
  std::optional<double> top_db{};
  static constexpr const char* type_name = "AmplitudeToDB";
  static constexpr io::Doc doc{
      "Decibels of powers, 10 log10 max(x, 1e-10), or of magnitudes, 20 log10; with top_db, no further below the "
      "loudest of each x[i]."};
  static constexpr void fields(auto&& f) {
    using C = AmplitudeToDBConfig;
    f("stype", &C::stype, io::Meta{.help = "what x holds"});
    f("top_db", &C::top_db, io::Meta{.min = 0, .max = 1e6, .help = "the largest distance; null: any", .unit = "dB"});
  }
};
class AmplitudeToDB : public Configured<AmplitudeToDBConfig> {
 public:
  explicit AmplitudeToDB(AmplitudeToDBConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override;
};

enum class DctNorm { none, ortho };
constexpr auto names(DctNorm*) { return io::enum_names<DctNorm>({{DctNorm::none, "none"}, {DctNorm::ortho, "ortho"}}); }
struct MFCCConfig {
  std::int64_t n_mfcc = 40;
  DctNorm norm = DctNorm::ortho;
  bool log_mels = false;
  MelSpectrogramConfig mel;
  static constexpr const char* type_name = "MFCC";
  static constexpr io::Doc doc{
      "Mel-frequency cepstral coefficients: the cosine transform (type 2) along the bands of MelSpectrogram in "
      "decibels, "
      "80 below the loudest at most, or with log_mels of log(bands + 1e-6): [batch, frames, n_mfcc].",
      "Davis & Mermelstein, Comparison of Parametric Representations for Monosyllabic Word Recognition, 1980"};
  static constexpr void fields(auto&& f) {
    using C = MFCCConfig;
    f("n_mfcc", &C::n_mfcc, io::Meta{.min = 1, .max = 4096, .help = "coefficients, at most as many as bands"});
    f("norm", &C::norm, io::Meta{.help = "ortho: a rotation; none: twice the sums"});
    f("log_mels", &C::log_mels, io::Meta{.help = "logarithms instead of decibels"});
    f("mel", &C::mel, io::Meta{.help = "the bands", .aliases = {"melkwargs"}});
  }
  void validate(io::Issues& issues) const;
};
class MFCC : public Configured<MFCCConfig> {
 public:
  explicit MFCC(MFCCConfig config = {});
  Tensor forward(const Tensor& x) override;
  Part<MelSpectrogram> mel_spectrogram;
  Part<AmplitudeToDB> amplitude_to_db;
  Param dct_mat;  // [n_mels, n_mfcc]
};

// ---- samples as codes (io/mulaw.h) ----------------------------------------------------------------------------------
namespace detail {
constexpr io::Meta kLevels{.min = 2, .max = 65536, .help = "codes", .aliases = {"levels"}};
}
struct MuLawEncodingConfig {
  std::int64_t quantization_channels = 256;
  static constexpr const char* type_name = "MuLawEncoding";
  static constexpr io::Doc doc{
      "Samples in [-1, 1] as codes i64: floor((sign(x) log1p(mu |x|) / log1p(mu) + 1) / 2 mu + 1/2) with mu one less "
      "than the codes; beyond, the outermost.",
      "ITU-T, Recommendation G.711, 1988"};
  static constexpr void fields(auto&& f) {
    f("quantization_channels", &MuLawEncodingConfig::quantization_channels, detail::kLevels);
  }
};
class MuLawEncoding : public Configured<MuLawEncodingConfig> {
 public:
  explicit MuLawEncoding(MuLawEncodingConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override;  // no gradient; ValueError for NaN
};
struct MuLawDecodingConfig {
  std::int64_t quantization_channels = 256;
  static constexpr const char* type_name = "MuLawDecoding";
  static constexpr io::Doc doc{"The samples that the codes i64 of MuLawEncoding stand for.",
                               "ITU-T, Recommendation G.711, 1988"};
  static constexpr void fields(auto&& f) {
    f("quantization_channels", &MuLawDecodingConfig::quantization_channels, detail::kLevels);
  }
};
class MuLawDecoding : public Configured<MuLawDecodingConfig> {
 public:
  explicit MuLawDecoding(MuLawDecodingConfig config = {});
  Tensor forward(const Tensor& codes) override;  // ValueError for codes outside
  Param samples;                                 // [quantization_channels, 1]
};
struct LinearEncodingConfig {
  std::int64_t quantization_channels = 256;
  static constexpr const char* type_name = "LinearEncoding";
  static constexpr io::Doc doc{
      "Samples in [-1, 1] as codes i64 in even steps: floor((x + 1) / 2 (codes - 1) + 1/2); beyond, the outermost."};
  static constexpr void fields(auto&& f) {
    f("quantization_channels", &LinearEncodingConfig::quantization_channels, detail::kLevels);
  }
};
class LinearEncoding : public Configured<LinearEncodingConfig> {
 public:
  explicit LinearEncoding(LinearEncodingConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override;  // no gradient; ValueError for NaN
};
struct LinearDecodingConfig {
  std::int64_t quantization_channels = 256;
  static constexpr const char* type_name = "LinearDecoding";
  static constexpr io::Doc doc{"The samples that the codes i64 of LinearEncoding stand for."};
  static constexpr void fields(auto&& f) {
    f("quantization_channels", &LinearDecodingConfig::quantization_channels, detail::kLevels);
  }
};
class LinearDecoding : public Configured<LinearDecodingConfig> {
 public:
  explicit LinearDecoding(LinearDecodingConfig config = {});
  Tensor forward(const Tensor& codes) override;  // ValueError for codes outside
  Param samples;                                 // [quantization_channels, 1]
};

}  // namespace nn
}  // namespace tapedeck
