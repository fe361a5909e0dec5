#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/ref_chain.h>
#include <tapedeck/tensor/parallel.h>

namespace tapedeck::kernels {
namespace {

using std::int64_t;

// Padding is real zeros: their terms stand in the chains, so that 0 * inf is NaN here as in a matrix product.
template <class T>
constexpr T kZero = 0;

template <class T>
void forward(const Conv1dArgs& args) {
  const TensorView &x = args.x, &w = args.w, &y = args.y;
  const Conv1dShape& s = args.shape;
  const int64_t in = w.sizes[1], taps = w.sizes[2], out = w.sizes[0] / s.groups;
  const T* bias = args.bias ? args.bias.ptr<const T>() : nullptr;
  parallel_for(y.sizes[0] * y.sizes[1], ref::row_grain(w.numel()), [&](int64_t begin, int64_t end) {
    ref::ChainRow<T> chain(out);
    for (int64_t r = begin; r < end; ++r) {
      const int64_t batch = r / y.sizes[1], t = r % y.sizes[1];
      for (int64_t g = 0; g < s.groups; ++g) {
        const T* w_group = w.ptr<const T>() + g * out * w.strides[0];
        chain.begin();
        for (int64_t k = 0; k < taps; ++k) {
          const int64_t at = t * s.stride + k * s.dilation - s.pad_left;
          const T* x_row = at >= 0 && at < x.sizes[1]
                               ? x.ptr<const T>() + batch * x.strides[0] + at * x.strides[1] + g * in
                               : nullptr;
          for (int64_t i = 0; i < in; ++i) {
            chain.next_index();
            chain.add(x_row ? x_row[i] : kZero<T>, w_group + i * w.strides[1] + k * w.strides[2], w.strides[0], 0, out);
          }
        }
        const T* sum = chain.end();
        T* y_row = y.ptr<T>() + batch * y.strides[0] + t * y.strides[1] + g * out;
        for (int64_t o = 0; o < out; ++o) {
          T v = sum[o];
          if (args.beta != 0) v += y_row[o];
          if (bias) v += bias[(g * out + o) * args.bias.strides[0]];
          y_row[o] = v;
        }
      }
    }
  });
}

// gx[b,at,i] sums over (tap, out channel): the outputs y[b,t,.] with t * stride + tap * dilation - pad_left == at.
template <class T>
void input_grad(const Conv1dInputGradArgs& args) {
  const TensorView &gy = args.gy, &w = args.w, &gx = args.gx;
  const Conv1dShape& s = args.shape;
  const int64_t in = w.sizes[1], taps = w.sizes[2], out = w.sizes[0] / s.groups;
  parallel_for(gx.sizes[0] * gx.sizes[1], ref::row_grain(w.numel()), [&](int64_t begin, int64_t end) {
    ref::ChainRow<T> chain(in);
    for (int64_t r = begin; r < end; ++r) {
      const int64_t batch = r / gx.sizes[1], at = r % gx.sizes[1];
      for (int64_t g = 0; g < s.groups; ++g) {
        const T* w_group = w.ptr<const T>() + g * out * w.strides[0];
        chain.begin();
        for (int64_t k = 0; k < taps; ++k) {
          const int64_t from = at + s.pad_left - k * s.dilation;
          const int64_t t = from / s.stride;
          const T* gy_row = from >= 0 && from % s.stride == 0 && t < gy.sizes[1]
                                ? gy.ptr<const T>() + batch * gy.strides[0] + t * gy.strides[1] + g * out
                                : nullptr;
          for (int64_t o = 0; o < out; ++o) {
            chain.next_index();
            chain.add(gy_row ? gy_row[o] : kZero<T>, w_group + o * w.strides[0] + k * w.strides[2], w.strides[1], 0,
                      in);
          }
        }
        const T* sum = chain.end();
        T* gx_row = gx.ptr<T>() + batch * gx.strides[0] + at * gx.strides[1] + g * in;
        for (int64_t i = 0; i < in; ++i) gx_row[i] = args.beta != 0 ? sum[i] + gx_row[i] : sum[i];
      }
    }
  });
}

template <class T>
void weight_grad(const Conv1dWeightGradArgs& args) {
  const TensorView &gy = args.gy, &x = args.x, &gw = args.gw;
  const Conv1dShape& s = args.shape;
  const int64_t in = gw.sizes[1], taps = gw.sizes[2], out = gw.sizes[0] / s.groups;
  const int64_t cost = gy.sizes[0] * gy.sizes[1] * in * taps;
  parallel_for(gw.sizes[0], ref::row_grain(cost), [&](int64_t begin, int64_t end) {
    ref::ChainRow<T> chain(taps * in);
    for (int64_t o = begin; o < end; ++o) {
      const int64_t first_in = o / out * in;
      chain.begin();
      for (int64_t batch = 0; batch < gy.sizes[0]; ++batch) {
        for (int64_t t = 0; t < gy.sizes[1]; ++t) {
          chain.next_index();
          const T g = gy.ptr<const T>()[batch * gy.strides[0] + t * gy.strides[1] + o];
          for (int64_t k = 0; k < taps; ++k) {
            const int64_t at = t * s.stride + k * s.dilation - s.pad_left;
            if (at >= 0 && at < x.sizes[1]) {
              chain.add(g, x.ptr<const T>() + batch * x.strides[0] + at * x.strides[1] + first_in, 1, k * in, in);
            } else {
              chain.add(g, &kZero<T>, 0, k * in, in);
            }
          }
        }
      }
      const T* sum = chain.end();
      for (int64_t i = 0; i < in; ++i) {
        for (int64_t k = 0; k < taps; ++k) {
          T& to = gw.ptr<T>()[o * gw.strides[0] + i * gw.strides[1] + k * gw.strides[2]];
          to = args.beta != 0 ? sum[k * in + i] + to : sum[k * in + i];
        }
      }
    }
  });
}

}  // namespace

void ref_conv1d(const Conv1dArgs& a) { a.dtype() == DType::f32 ? forward<float>(a) : forward<double>(a); }
void ref_conv1d_input_grad(const Conv1dInputGradArgs& a) {
  a.dtype() == DType::f32 ? input_grad<float>(a) : input_grad<double>(a);
}
void ref_conv1d_weight_grad(const Conv1dWeightGradArgs& a) {
  a.dtype() == DType::f32 ? weight_grad<float>(a) : weight_grad<double>(a);
}

}  // namespace tapedeck::kernels
