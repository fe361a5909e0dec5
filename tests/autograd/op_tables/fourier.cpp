#include "autograd/op_table.h"

namespace tapedeck::test {

void add_fourier(Table& t) {
  constexpr double close = 1e-13;  // sums in another order
  const std::pair<const char*, FftNorm> norms[] = {
      {"backward", FftNorm::backward}, {"ortho", FftNorm::ortho}, {"forward", FftNorm::forward}};
  const auto add = [&](const std::string& name, Shape shape, std::function<Tensor(const Tensor&)> f) {
    t.add(
        name, {shape}, [f](Args x) { return f(x[0]); }, -1, 1, true, close);
  };
  for (const std::int64_t n : {0, 5, 8})
    for (const auto& [word, norm] : norms) {
      const std::string tail = " " + std::to_string(n) + " " + word;
      const std::optional<std::int64_t> length = n > 0 ? std::optional(n) : std::nullopt;
      add("fft" + tail, {2, 6, 2}, [=, norm = norm](const Tensor& x) { return fft(x, length, -1, norm); });
      add("ifft" + tail, {2, 6, 2}, [=, norm = norm](const Tensor& x) { return ifft(x, length, -1, norm); });
      add("rfft" + tail, {2, 6}, [=, norm = norm](const Tensor& x) { return rfft(x, length, -1, norm); });
      add("irfft" + tail, {2, 4, 2}, [=, norm = norm](const Tensor& x) { return irfft(x, length, -1, norm); });
    }
  add("fft dim 0", {7, 3, 2}, [](const Tensor& x) { return fft(x, {}, 0); });
  add("ifft prime", {17, 2}, [](const Tensor& x) { return ifft(x); });
  add("rfft dim 0", {5, 3}, [](const Tensor& x) { return rfft(x, {}, 0); });
  add("irfft dim 0", {4, 3, 2}, [](const Tensor& x) { return irfft(x, {}, 0); });
  add("irfft odd dim 0", {4, 3, 2}, [](const Tensor& x) { return irfft(x, 7, 0); });
  add("rfft of one", {3, 1}, [](const Tensor& x) { return rfft(x); });

  const auto window = [](std::int64_t n) { return spread({n}, 0.5, 1.5, 1); };
  add("stft", {2, 20}, [=](const Tensor& x) { return stft(x, 8, {.hop_length = 2, .window = window(8)}); });
  add("stft one signal", {20}, [=](const Tensor& x) { return stft(x, 8, {.hop_length = 3, .window = window(8)}); });
  add("stft short window", {2, 20}, [=](const Tensor& x) {
    return stft(x, 9, {.hop_length = 2, .win_length = 5, .window = window(5), .normalized = true});
  });
  add("stft not centred", {2, 20},
      [=](const Tensor& x) { return stft(x, 7, {.hop_length = 4, .window = window(7), .center = false}); });
  add("stft two-sided", {2, 12}, [=](const Tensor& x) {
    return stft(x, 6, {.hop_length = 3, .win_length = 4, .window = window(4), .onesided = false});
  });
  add("stft constant pad", {2, 12}, [=](const Tensor& x) {
    return stft(x, 6, {.hop_length = 3, .window = window(6), .pad_mode = PadMode::constant});
  });
  add("istft", {2, 6, 5, 2}, [=](const Tensor& x) { return istft(x, 8, {.hop_length = 2, .window = window(8)}); });
  add("istft one signal", {6, 5, 2},
      [=](const Tensor& x) { return istft(x, 8, {.hop_length = 2, .window = window(8)}); });
  add("istft short window", {2, 6, 5, 2}, [=](const Tensor& x) {
    return istft(x, 9, {.hop_length = 2, .win_length = 7, .window = window(7), .normalized = true});
  });
  add("istft length", {2, 6, 5, 2},
      [=](const Tensor& x) { return istft(x, 8, {.hop_length = 2, .window = window(8)}, 9); });
  t.add(
      "complex_mul", {{3, 4, 2}, {3, 4, 2}}, [](Args x) { return complex_mul(x[0], x[1]); }, -1, 1, true, close);
  add("complex_conj", {3, 4, 2}, [](const Tensor& x) { return complex_conj(x); });
  add("complex_abs", {3, 4, 2}, [](const Tensor& x) { return complex_abs(x); });
  add("complex_abs at 0", {2, 2}, [](const Tensor& x) { return complex_abs(cat({x * 0, x})); });
  add("complex_angle", {3, 4, 2}, [](const Tensor& x) { return complex_angle(x); });
  t.add(
      "polar", {{3, 4}, {3, 4}}, [](Args x) { return polar(x[0], x[1] * 3); }, 0.1, 1, true, close);
  t.add(
      "complex_mul row", {{3, 4, 2}, {4, 2}}, [](Args x) { return complex_mul(x[0], x[1]); }, -1, 1, true, close);
  t.add(
      "complex_mul with itself", {{5, 2}}, [](Args x) { return complex_mul(x[0], x[0]); }, -1, 1, true, close);
  add("complex_conj of one", {2}, [](const Tensor& x) { return complex_conj(x); });
  add("complex_conj of a product", {4, 2}, [](const Tensor& x) { return complex_mul(complex_conj(x), x * 2); });
  add("complex_abs large", {5, 2}, [](const Tensor& x) { return complex_abs(x * 1e100) / 1e100; });
  add("complex_angle small", {5, 2}, [](const Tensor& x) { return complex_angle(x * 1e-5) * 1e-5; });
  add("complex_angle of one", {2}, [](const Tensor& x) { return complex_angle(x); });
  t.add(
      "polar turns", {{5}, {5}}, [](Args x) { return polar(x[0], x[1] * 8 - 4); }, 0.1, 1, true, close);
  t.add(
      "polar of one", {{}, {}}, [](Args x) { return polar(x[0], x[1]); }, 0.1, 1, true, close);
  for (const std::int64_t hop : {1, 2, 5})
    add("overlap_add " + std::to_string(hop), {2, 4, 3}, [hop](const Tensor& x) { return overlap_add(x, hop); });
  for (const std::int64_t n : {1, 7, 8})
    for (const bool periodic : {true, false}) {
      const std::string tail = " " + std::to_string(n) + (periodic ? " True" : " False");
      const TensorOptions o{DType::f64};
      add("hann_window" + tail, {n}, [=](const Tensor& x) { return x * hann_window(n, periodic, o); });
      add("hamming_window" + tail, {n},
          [=](const Tensor& x) { return x * hamming_window(n, periodic, 0.54, 0.46, o); });
      add("blackman_window" + tail, {n}, [=](const Tensor& x) { return x * blackman_window(n, periodic, o); });
      add("bartlett_window" + tail, {n}, [=](const Tensor& x) { return x * bartlett_window(n, periodic, o); });
      add("kaiser_window" + tail, {n}, [=](const Tensor& x) { return x * kaiser_window(n, periodic, 12, o); });
    }
}

}  // namespace tapedeck::test
