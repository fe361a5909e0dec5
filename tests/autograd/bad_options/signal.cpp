// Fourier transforms, complex numbers, windows.
#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_signal(BadCalls& t) {
  const auto pairs = [](In g) { return detail::try_reshape(g.m, {3, 2, 2}); };
  using Transform = Tensor (*)(const Tensor&, std::optional<std::int64_t>, int, FftNorm);
  for (const auto& [op, f, rank] : std::vector<std::tuple<const char*, Transform, int>>{
           {"fft", fft, 2}, {"ifft", ifft, 2}, {"rfft", rfft, 3}, {"irfft", irfft, 2}}) {
    t.dims(op, rank, [f = f, pairs](In g, int d) { f(pairs(g), {}, d, FftNorm::backward); });
    t.values(op, {0, -1, -kHuge, kHuge},
             [f = f, pairs](In g, std::int64_t n) { f(pairs(g), n, 0, FftNorm::backward); });
    t.dtype(op, {"i64"}, [f = f](In g) { f(g.whole, {}, 0, FftNorm::backward); });
    t.missing(op, [f = f](In g) { f(g.none, {}, 0, FftNorm::backward); });
    if (op != std::string("rfft")) t.shape(op, {"[3,4]"}, [f = f](In g) { f(g.m, {}, 0, FftNorm::backward); });
  }
  for (const auto& [op, f] : std::vector<BadCalls::Unary>{
           {"complex_conj", complex_conj}, {"complex_abs", complex_abs}, {"complex_angle", complex_angle}}) {
    t.shape(op, {"[3,4]"}, [f = f](In g) { f(g.m); });
    t.missing(op, [f = f](In g) { f(g.none); });
  }
  t.shape("complex_mul", {"[3,4]"}, [=](In g) { complex_mul(pairs(g), g.m); });
  t.shape("polar", {"[3,4]", "[6]"}, [](In g) { polar(g.m, g.v); });
  t.missing("polar", [](In g) { polar(g.m, g.none); });

  using Window = std::function<void(std::int64_t, TensorOptions)>;
  for (const auto& [op, f] : std::vector<std::pair<const char*, Window>>{
           {"hann_window", [](std::int64_t n, TensorOptions o) { hann_window(n, true, o); }},
           {"hamming_window", [](std::int64_t n, TensorOptions o) { hamming_window(n, true, 0.54, 0.46, o); }},
           {"blackman_window", [](std::int64_t n, TensorOptions o) { blackman_window(n, false, o); }},
           {"bartlett_window", [](std::int64_t n, TensorOptions o) { bartlett_window(n, true, o); }},
           {"kaiser_window", [](std::int64_t n, TensorOptions o) { kaiser_window(n, true, 12, o); }}}) {
    t.values(op, {-1, -kHuge, kHuge}, [f = f](In, std::int64_t n) { f(n, {}); });
    t.dtype(op, {"i64"}, [f = f](In) { f(4, {DType::i64}); });
  }
  t.reals("kaiser_window", {-701, 1e15, kNan, kInfinity}, [](In, double beta) { kaiser_window(4, true, beta); });
  t.values("overlap_add", {0, -1, -kHuge}, [](In g, std::int64_t n) { overlap_add(g.m, n); });
  t.shapes("overlap_add", {kHuge}, [](In g, std::int64_t n) { overlap_add(g.m, n); });
  t.shape("overlap_add", {"[6]"}, [](In g) { overlap_add(g.v, 1); });

  const BadCalls::Whole no_sizes{0, -1, -kHuge, kHuge};
  t.values("stft", no_sizes, [](In g, std::int64_t n) { stft(g.v, n); });
  t.values("stft", {0, -1, -kHuge}, [](In g, std::int64_t n) { stft(g.v, 4, {.hop_length = n}); });
  t.values("stft", {0, -1, 5, kHuge}, [](In g, std::int64_t n) { stft(g.v, 4, {.win_length = n}); });
  t.shape("stft", {"[4]", "3"}, [](In g) { stft(g.v, 4, {.win_length = 3, .window = g.buffer}); });
  t.shape("stft", {"6 samples", "8"}, [](In g) { stft(g.v, 8, {.center = false}); });
  t.shape("stft", {"12"}, [](In g) { stft(g.v, 24); });
  t.shape("stft", {"[2,5,4]"}, [](In g) { stft(g.x, 4); });
  const auto spectra = [](In g) { return detail::try_reshape(g.m, {2, 3, 2}); };  // 2 frames, 3 bins
  t.values("istft", no_sizes, [=](In g, std::int64_t n) { istft(spectra(g), n); });
  t.values("istft", {0, -1, -kHuge}, [=](In g, std::int64_t n) { istft(spectra(g), 4, {.hop_length = n}); });
  t.values("istft", {0, -1, 5, kHuge}, [=](In g, std::int64_t n) { istft(spectra(g), 4, {.win_length = n}); });
  t.shapes("istft", {0, -1, -kHuge, kHuge}, [=](In g, std::int64_t n) { istft(spectra(g), 4, {.hop_length = 1}, n); });
  t.shape("istft", {"n_fft 6", "4 bins", "[2,3,2]"}, [=](In g) { istft(spectra(g), 6); });
  t.value("istft", {"uncovered"}, [=](In g) { istft(spectra(g), 4, {.hop_length = 9, .center = false}); });
}

}  // namespace tapedeck::test
