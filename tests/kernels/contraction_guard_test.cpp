// Contractions read and write nothing outside of their operands: each operand ends, or begins, at a page that cannot be
// touched.
#include <sys/mman.h>
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/matmul.h>
#include <unistd.h>

#include "kernels/contraction.h"
#include "kernels/packed_step.h"

namespace tapedeck {
namespace {

using std::int64_t;

// `count` floats between two guard pages, against the back one or the front one.
class Guarded {
 public:
  Guarded(std::vector<int64_t> sizes, bool at_end, std::vector<int64_t> strides = {}) : sizes_(std::move(sizes)) {
    int64_t count = 1;
    for (const int64_t s : sizes_) count *= s;
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
    const std::size_t inner = (bytes + page - 1) / page * page;
    length_ = inner + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_NE(base_, MAP_FAILED);
    EXPECT_EQ(mprotect(base_, page, PROT_NONE), 0);
    EXPECT_EQ(mprotect(base_ + page + inner, page, PROT_NONE), 0);
    data = reinterpret_cast<float*>(base_ + page + (at_end ? inner - bytes : 0));
    for (int64_t i = 0; i < count; ++i) data[i] = static_cast<float>(i % 17) - 8;
    strides_ = strides;
    if (strides_.empty()) {
      strides_.resize(sizes_.size());
      for (std::size_t d = sizes_.size(), step = 1; d-- > 0; step *= static_cast<std::size_t>(sizes_[d]))
        strides_[d] = static_cast<int64_t>(step);
    }
  }
  ~Guarded() { munmap(base_, length_); }
  Guarded(const Guarded&) = delete;
  TensorView view() const {
    TensorView v;
    v.data = data, v.rank = static_cast<std::int32_t>(sizes_.size());
    for (std::size_t d = 0; d < sizes_.size(); ++d) v.sizes[d] = sizes_[d], v.strides[d] = strides_[d];
    return v;
  }
  float* data;

 private:
  char* base_;
  std::size_t length_;
  std::vector<int64_t> sizes_, strides_;
};

TEST(ContractionGuard, Products) {
  for (const bool end : {true, false}) {
    for (const int64_t m : {1, 3, 14, 40}) {
      for (const int64_t n : {1, 5, 16, 33, 130}) {
        for (const int64_t k : {1, 9, 64, 261}) {
          for (const int transposed : {0, 1, 2}) {
            const Guarded a({1, m, k}, end,
                            transposed == 1 ? std::vector<int64_t>{m * k, 1, m} : std::vector<int64_t>{});
            const Guarded b({1, k, n}, end,
                            transposed == 2 ? std::vector<int64_t>{k * n, 1, k} : std::vector<int64_t>{});
            const Guarded bias({n}, end), y({1, m, n}, end);
            kernels::matmul(kCpu, {a.view(), b.view(), bias.view(), y.view(), n % 2 ? 1. : 0.});
          }
          const Guarded x({m, k}, end), w({n, k}, end), bias({n}, end), add({m, n}, end), y({m, n}, end);
          PackedStep step(w.view(), bias.view(), n % 2 ? kernels::StepThen::add : kernels::StepThen::store);
          kernels::StepProduct& p = step.part.product;
          p.segments = 1, p.x[0] = {x.data, k, k}, p.rows = m;
          p.add = add.data, p.add_row = n, p.y = y.data;
          step.run();
        }
      }
    }
  }
}

TEST(ContractionGuard, Convolutions) {
  for (const bool end : {true, false}) {
    for (const int64_t in : {1, 7, 33}) {
      for (const int64_t out : {1, 20}) {
        for (const int64_t taps : {1, 3}) {
          for (const int64_t stride : {1, 2}) {
            const int64_t time = 50, dilation = 4, pad = taps == 3 ? 8 : 0, length = (time - 1) / stride + 1;
            const Guarded x({2, time, in}, end), w({out, in, taps}, end), y({2, length, out}, end);
            const kernels::Conv1dShape shape{stride, dilation, 1, pad};
            kernels::conv1d(kCpu, {x.view(), w.view(), {}, y.view(), shape, 0});
            kernels::conv1d_input_grad(kCpu, {y.view(), w.view(), x.view(), shape, 1});
            kernels::conv1d_weight_grad(kCpu, {y.view(), x.view(), w.view(), shape, 0});
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tapedeck
