// Fourier transforms of one length in double: what the default FFT kernels run on.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

namespace tapedeck::kernels {

// Real and imaginary parts stand apart, so that loops over them are vector loops.
struct Split {
  double *re, *im;
};

// Stockham's autosort algorithm (Swarztrauber, "FFT algorithms for vector computers", 1984) for lengths whose prime
// factors are at most 13, Bluestein's chirp convolution for the others. The algorithm depends on n alone.
class FftPlan {
 public:
  explicit FftPlan(std::int64_t n);

  std::int64_t size() const { return n_; }
  std::int64_t scratch() const { return scratch_; }  // doubles that run() needs
  // Forward: e^-. The result is where the returned pair points: x or the scratch. The inverse is a forward transform
  // with re and im exchanged on both sides.
  Split run(Split x, double* scratch) const;

  // e^(-2 pi i k / n), k < n.
  const double* cosines() const { return re_.data(); }
  const double* sines() const { return im_.data(); }
  const float* cosines_f32() const { return re_f32_.data(); }
  const float* sines_f32() const { return im_f32_.data(); }

 private:
  void mixed(Split& x, Split& spare) const;

  std::int64_t n_, scratch_;
  std::vector<int> factors_;     // empty where Bluestein's algorithm runs
  std::vector<double> re_, im_;  // the roots of unity
  std::vector<float> re_f32_, im_f32_;
  std::unique_ptr<FftPlan> convolution_;
  std::vector<double> chirp_re_, chirp_im_, kernel_re_, kernel_im_;
};

// The plan of a length; made once. Plans stay while somebody holds them; the most recent ones stay anyway.
std::shared_ptr<const FftPlan> fft_plan(std::int64_t n);

// cos and sin of 2 pi k / n, each within an ulp or so; the same on every machine.
struct Root {
  double re, im;
};
Root root_of_unity(std::int64_t k, std::int64_t n);

}  // namespace tapedeck::kernels
