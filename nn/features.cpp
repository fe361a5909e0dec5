#include <tapedeck/io/mulaw.h>
#include <tapedeck/nn/features.h>
#include <tapedeck/nn/layers/types.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tapedeck::nn {
namespace {

constexpr TensorOptions kWide{DType::f64, kCpu};

// ---- frames ---------------------------------------------------------------------------------------------------------
Tensor window_of(const FramesConfig& c) {
  const std::int64_t n = c.window_length();
  switch (c.window_fn) {
    case Window::hamming:
      return hamming_window(n, true, 0.54, 0.46, kWide);
    case Window::blackman:
      return blackman_window(n, true, kWide);
    case Window::bartlett:
      return bartlett_window(n, true, kWide);
    case Window::kaiser:
      return kaiser_window(n, true, 12, kWide);
    case Window::hann:
      break;
  }
  return hann_window(n, true, kWide);
}
StftOptions stft_options(const FramesConfig& c, const Tensor& window) {
  return {.hop_length = c.hop(),
          .win_length = c.window_length(),
          .window = window,
          .center = c.center,
          .pad_mode = c.pad_mode};
}
Tensor norm_of(const Tensor& window) { return sqrt(sum(square(window))); }

// ---- mel bands ------------------------------------------------------------------------------------------------------
constexpr double kLine = 200. / 3, kBend = 1000;  // slaney: Hz per mel up to the bend
constexpr double kStep = 0.06875177742094912;     // log(6.4) / 27: the logarithm of a mel beyond it

double to_mel(double hz, MelFormula formula) {
  if (formula == MelFormula::htk) return 2595 * std::log10(1 + hz / 700);
  return hz < kBend ? hz / kLine : kBend / kLine + std::log(hz / kBend) / kStep;
}
double to_hz(double mel, MelFormula formula) {
  if (formula == MelFormula::htk) return 700 * (std::pow(10, mel / 2595) - 1);
  return mel < kBend / kLine ? mel * kLine : kBend * std::exp(kStep * (mel - kBend / kLine));
}

template <class C>
double highest(const C& c) {
  return c.f_max.value_or(static_cast<double>(c.sample_rate / 2));
}
template <class C>
void check_bands(const C& c, std::int64_t bins, io::Issues& issues) {
  constexpr std::int64_t most = 1 << 26;
  if (bins >= 1 && c.n_mels > most / bins)
    issues.add("/n_mels", "times the bins, " + std::to_string(bins) + ", must be at most " + std::to_string(most));
  if (c.f_min >= highest(c))
    issues.add("/f_min", "must be below f_max, which is " + std::to_string(highest(c)) + " Hz");
}

// [n_stft, n_mels]: up from one corner to the next and down to the one after it.
Tensor filterbank(const MelScaleConfig& c) {
  const double low = to_mel(c.f_min, c.mel_scale), high = to_mel(highest(c), c.mel_scale);
  std::vector<double> corners, values(static_cast<std::size_t>(c.n_stft * c.n_mels));
  for (std::int64_t i = 0; i < c.n_mels + 2; ++i)
    corners.push_back(
        to_hz(low + (high - low) * static_cast<double>(i) / static_cast<double>(c.n_mels + 1), c.mel_scale));
  const double nyquist = static_cast<double>(c.sample_rate / 2);
  for (std::int64_t bin = 0; bin < c.n_stft; ++bin) {
    const double hz = c.n_stft > 1 ? nyquist * static_cast<double>(bin) / static_cast<double>(c.n_stft - 1) : 0;
    for (std::int64_t m = 0; m < c.n_mels; ++m) {
      const double* at = &corners[static_cast<std::size_t>(m)];
      const double up = (hz - at[0]) / (at[1] - at[0]), down = (at[2] - hz) / (at[2] - at[1]);
      const double scale = c.norm == MelNorm::slaney ? 2 / (at[2] - at[0]) : 1;
      values[static_cast<std::size_t>(bin * c.n_mels + m)] = scale * std::max(0., std::min(up, down));
    }
  }
  return tensor(values, {c.n_stft, c.n_mels});
}

// [n_mels, n_mfcc]: cos(pi / n_mels (n + 1/2) k).
Tensor cosines(std::int64_t n_mels, std::int64_t n_mfcc, DctNorm norm) {
  std::vector<double> values;
  const double size = static_cast<double>(n_mels);
  for (std::int64_t n = 0; n < n_mels; ++n)
    for (std::int64_t k = 0; k < n_mfcc; ++k) {
      const double scale = norm == DctNorm::none ? 2 : std::sqrt((k == 0 ? 1 : 2) / size);
      const double turns = std::fmod((static_cast<double>(n) + 0.5) * static_cast<double>(k), 2 * size);
      values.push_back(scale * std::cos(std::numbers::pi / size * turns));
    }
  return tensor(values, {n_mels, n_mfcc});
}

// ---- codes ----------------------------------------------------------------------------------------------------------
template <class Law>
Tensor encoded(const char* who, const Tensor& x, const Law& law) {
  TD_CHECK(x.defined() && is_real(x.dtype()), DTypeError, who, ": needs samples of a real type", arg("x", x));
  return tensor(io::encode(law, cast(detach(x), DType::f32).to_vector<float>()), x.sizes());
}
template <class Decode>
Tensor table(std::int64_t levels, const Decode& decode) {
  std::vector<double> values;
  const double top = static_cast<double>(levels - 1);
  for (std::int64_t code = 0; code < levels; ++code) values.push_back(decode(2 * static_cast<double>(code) / top - 1));
  return tensor(values, {levels, 1});
}

}  // namespace

void FramesConfig::validate(io::Issues& issues) const {
  if (window_length() > n_fft) issues.add("/win_length", "must be at most n_fft = " + std::to_string(n_fft));
}

Spectrogram::Spectrogram(SpectrogramConfig given) : Configured(std::move(given)) {
  window = buffer_of("window", window_of(config()), false);
}
Tensor Spectrogram::forward(const Tensor& x) {
  const SpectrogramConfig& c = config();
  const Tensor padded = c.pad > 0 ? tapedeck::pad(x, {c.pad, c.pad}) : x;
  Tensor z = stft(padded, c.n_fft, stft_options(c, window));
  if (c.normalized) z = z / norm_of(window);
  if (!c.power) return z;
  if (*c.power == 2) return sum(square(z), {-1});
  return *c.power == 1 ? complex_abs(z) : pow(complex_abs(z), *c.power);
}

InverseSpectrogram::InverseSpectrogram(InverseSpectrogramConfig given) : Configured(std::move(given)) {
  window = buffer_of("window", window_of(config()), false);
}
Tensor InverseSpectrogram::forward(const Tensor& x, std::optional<std::int64_t> length) {
  const InverseSpectrogramConfig& c = config();
  TD_CHECK(!length || *length >= 0, ValueError, "InverseSpectrogram: length must be at least 0, got ", *length);
  const Tensor z = c.normalized ? x * norm_of(window) : x;
  if (length) *length += 2 * c.pad;
  const Tensor y = istft(z, c.n_fft, stft_options(c, window), length);
  return length && c.pad > 0 ? slice(y, -1, c.pad, *length - c.pad) : y;
}

void MelScaleConfig::validate(io::Issues& issues) const { check_bands(*this, n_stft, issues); }
MelScale::MelScale(MelScaleConfig given) : Configured(std::move(given)) {
  fb = buffer_of("fb", filterbank(config()), false);
}
Tensor MelScale::forward(const Tensor& x) {
  TD_CHECK(x.defined() && x.dim() >= 1 && x.size(-1) == config().n_stft, ShapeError, "MelScale: x must be [..., ",
           config().n_stft, "]", arg("x", x));
  return matmul(x, fb);
}

void MelSpectrogramConfig::validate(io::Issues& issues) const {
  SpectrogramConfig::validate(issues);
  check_bands(*this, n_fft / 2 + 1, issues);
  if (!power) issues.add("/power", "must be a number: bands of complex numbers have no meaning");
}
MelSpectrogram::MelSpectrogram(MelSpectrogramConfig given) : Configured(std::move(given)) {
  const MelSpectrogramConfig& c = config();
  spectrogram = make<Spectrogram>(c);
  mel_scale =
      make<MelScale>(MelScaleConfig{c.n_mels, c.sample_rate, c.f_min, c.f_max, c.n_fft / 2 + 1, c.norm, c.mel_scale});
  child("spectrogram", spectrogram);
  child("mel_scale", mel_scale);
}

Tensor AmplitudeToDB::forward(const Tensor& x) {
  const Tensor y = log10(clamp_min(x, 1e-10)) * (config().stype == SpectrumType::power ? 10 : 20);
  if (!config().top_db || y.numel() == 0) return y;
  std::vector<int> dims;  // all but the batch
  for (int d = 1; d < y.dim(); ++d) dims.push_back(d);
  const Tensor loudest = dims.empty() ? y : amax(y, dims, true);
  return maximum(y, loudest - *config().top_db);
}

void MFCCConfig::validate(io::Issues& issues) const {
  if (n_mfcc > mel.n_mels) issues.add("/n_mfcc", "must be at most the bands, " + std::to_string(mel.n_mels));
}
MFCC::MFCC(MFCCConfig given) : Configured(std::move(given)) {
  const MFCCConfig& c = config();
  mel_spectrogram = make<MelSpectrogram>(c.mel);
  amplitude_to_db = make<AmplitudeToDB>(AmplitudeToDBConfig{.top_db = 80});
  child("MelSpectrogram", mel_spectrogram);
  child("amplitude_to_DB", amplitude_to_db);
  dct_mat = buffer_of("dct_mat", cosines(c.mel.n_mels, c.n_mfcc, c.norm), false);
}
Tensor MFCC::forward(const Tensor& x) {
  const Tensor bands = mel_spectrogram(x);
  return matmul(config().log_mels ? log(bands + 1e-6) : amplitude_to_db(bands), dct_mat);
}

Tensor MuLawEncoding::forward(const Tensor& x) {
  return encoded("MuLawEncoding", x, io::MuLaw(static_cast<int>(config().quantization_channels)));
}
Tensor LinearEncoding::forward(const Tensor& x) {
  return encoded("LinearEncoding", x, io::LinearCode(static_cast<int>(config().quantization_channels)));
}

MuLawDecoding::MuLawDecoding(MuLawDecodingConfig given) : Configured(std::move(given)) {
  const double mu = static_cast<double>(config().quantization_channels - 1), log_mu = std::log1p(mu);
  samples = buffer_of("samples",
                      table(config().quantization_channels,
                            [=](double c) { return std::copysign(std::expm1(std::fabs(c) * log_mu) / mu, c); }),
                      false);
}
Tensor MuLawDecoding::forward(const Tensor& codes) { return squeeze(embedding(codes, samples), -1); }
LinearDecoding::LinearDecoding(LinearDecodingConfig given) : Configured(std::move(given)) {
  samples = buffer_of("samples", table(config().quantization_channels, [](double c) { return c; }), false);
}
Tensor LinearDecoding::forward(const Tensor& codes) { return squeeze(embedding(codes, samples), -1); }

namespace {
template <class M>
ModuleType feature(const typename M::Config& config, const char* shapes, std::vector<Sample> inputs) {
  ModuleType type = module_type<M>(config, shapes, std::move(inputs));
  type.kind = "feature";
  return type;
}
FramesConfig small() {
  FramesConfig c;
  c.n_fft = 8, c.hop_length = 4;
  return c;
}
MelSpectrogramConfig small_bands() {
  MelSpectrogramConfig c;
  c.n_fft = 32, c.hop_length = 16, c.n_mels = 4;
  return c;
}
}  // namespace

std::vector<ModuleType> feature_types() {
  return {
      feature<Spectrogram>({small()}, "x [batch, time] -> [batch, time / hop_length + 1, n_fft / 2 + 1]",
                           {reals({2, 20})}),
      feature<InverseSpectrogram>({small()},
                                  "x [batch, frames, n_fft / 2 + 1, 2] -> [batch, (frames - 1) * hop_length]",
                                  {reals({2, 6, 5, 2})}),
      feature<MelScale>({.n_mels = 4, .n_stft = 17}, "x [..., n_stft] -> [..., n_mels]", {reals({2, 5, 17}, 0, 1)}),
      feature<MelSpectrogram>(small_bands(), "x [batch, time] -> [batch, time / hop_length + 1, n_mels]",
                              {reals({2, 64})}),
      feature<AmplitudeToDB>({.top_db = 80}, "x [batch, ...] -> [batch, ...]", {reals({2, 5, 3}, 0.1, 2)}),
      feature<MFCC>({.n_mfcc = 3, .mel = small_bands()},
                    "x [batch, time] -> [batch, time / mel.hop_length + 1, n_mfcc]", {reals({2, 64})}),
      feature<MuLawEncoding>({}, "x [...] -> codes [...]", {reals({2, 5})}),
      feature<MuLawDecoding>({}, "codes [...] -> [...]", {codes({2, 5}, 256)}),
      feature<LinearEncoding>({}, "x [...] -> codes [...]", {reals({2, 5})}),
      feature<LinearDecoding>({}, "codes [...] -> [...]", {codes({2, 5}, 256)}),
  };
}

}  // namespace tapedeck::nn
