#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/ref_chain.h>
#include <tapedeck/tensor/parallel.h>

namespace tapedeck::kernels {
namespace {

using std::int64_t;

// Padding is real zeros: their terms stand in the chains, so that 0 * inf is NaN here as in a matrix product.
template <class T>
constexpr T kZero = 0;

// A [batch, space…, channels] view: the position of a row number, and where a row lies.
struct Place {
  int64_t batch = 0, at[3] = {};
};
int64_t rows_of(const TensorView& v) {
  int64_t n = 1;
  for (int d = 0; d + 1 < v.rank; ++d) n *= v.sizes[d];
  return n;
}
Place place(const TensorView& v, int64_t row) {
  Place p;
  for (int d = v.rank - 3; d >= 0; --d) {
    p.at[d] = row % v.sizes[1 + d];
    row /= v.sizes[1 + d];
  }
  p.batch = row;
  return p;
}
bool inside(const TensorView& v, const Place& p) {
  for (int d = 0; d < v.rank - 2; ++d)
    if (p.at[d] < 0 || p.at[d] >= v.sizes[1 + d]) return false;
  return true;
}
template <class T>
T* row(const TensorView& v, const Place& p, int64_t channel) {
  int64_t offset = p.batch * v.strides[0] + channel;
  for (int d = 0; d < v.rank - 2; ++d) offset += p.at[d] * v.strides[1 + d];
  return v.ptr<T>() + offset;
}

// f(tap, offset of the tap in w) for the taps of w [out, in, K…] in row-major order; tap counts per dimension.
template <class F>
void each_tap(const TensorView& w, F&& f) {
  int64_t size[3] = {1, 1, 1}, stride[3] = {};
  for (int d = 0; d < w.rank - 2; ++d) size[d] = w.sizes[2 + d], stride[d] = w.strides[2 + d];
  int64_t tap[3];
  for (tap[0] = 0; tap[0] < size[0]; ++tap[0])
    for (tap[1] = 0; tap[1] < size[1]; ++tap[1])
      for (tap[2] = 0; tap[2] < size[2]; ++tap[2]) f(tap, tap[0] * stride[0] + tap[1] * stride[1] + tap[2] * stride[2]);
}

Place input_of(const ConvShape& s, const Place& y, const int64_t* tap, int space) {
  Place x = y;
  for (int d = 0; d < space; ++d) x.at[d] = y.at[d] * s.stride[d] + tap[d] * s.dilation[d] - s.pad[d];
  return x;
}

template <class T>
void forward(const ConvArgs& args) {
  const TensorView &x = args.x, &w = args.w, &y = args.y;
  const ConvShape& s = args.shape;
  const int space = x.rank - 2;
  const int64_t in = w.sizes[1], out = w.sizes[0] / s.groups;
  const T* bias = args.bias ? args.bias.ptr<const T>() : nullptr;
  parallel_for(rows_of(y), ref::row_grain(w.numel()), [&](int64_t begin, int64_t end) {
    ref::ChainRow<T> chain(out);
    for (int64_t r = begin; r < end; ++r) {
      const Place to = place(y, r);
      for (int64_t g = 0; g < s.groups; ++g) {
        const T* w_group = w.ptr<const T>() + g * out * w.strides[0];
        chain.begin();
        each_tap(w, [&](const int64_t* tap, int64_t offset) {
          const Place from = input_of(s, to, tap, space);
          const T* x_row = inside(x, from) ? row<const T>(x, from, g * in) : nullptr;
          for (int64_t i = 0; i < in; ++i) {
            chain.next_index();
            chain.add(x_row ? x_row[i] : kZero<T>, w_group + i * w.strides[1] + offset, w.strides[0], 0, out);
          }
        });
        const T* sum = chain.end();
        T* y_row = row<T>(y, to, g * out);
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

// gx[b,at,i] sums over (tap, out channel): the outputs y[b,p,.] with p * stride + tap * dilation - pad == at.
template <class T>
void input_grad(const ConvInputGradArgs& args) {
  const TensorView &gy = args.gy, &w = args.w, &gx = args.gx;
  const ConvShape& s = args.shape;
  const int space = gy.rank - 2;
  const int64_t in = w.sizes[1], out = w.sizes[0] / s.groups;
  const T* bias = args.bias ? args.bias.ptr<const T>() : nullptr;
  parallel_for(rows_of(gx), ref::row_grain(w.numel()), [&](int64_t begin, int64_t end) {
    ref::ChainRow<T> chain(in);
    for (int64_t r = begin; r < end; ++r) {
      const Place to = place(gx, r);
      for (int64_t g = 0; g < s.groups; ++g) {
        const T* w_group = w.ptr<const T>() + g * out * w.strides[0];
        chain.begin();
        each_tap(w, [&](const int64_t* tap, int64_t offset) {
          Place from = to;
          for (int d = 0; d < space; ++d) {
            const int64_t at = to.at[d] + s.pad[d] - tap[d] * s.dilation[d];
            if (at % s.stride[d] != 0) return;
            from.at[d] = at / s.stride[d];
          }
          const T* gy_row = inside(gy, from) ? row<const T>(gy, from, g * out) : nullptr;
          for (int64_t o = 0; o < out; ++o) {
            chain.next_index();
            chain.add(gy_row ? gy_row[o] : kZero<T>, w_group + o * w.strides[0] + offset, w.strides[1], 0, in);
          }
        });
        const T* sum = chain.end();
        T* gx_row = row<T>(gx, to, g * in);
        for (int64_t i = 0; i < in; ++i) {
          T v = sum[i];
          if (args.beta != 0) v += gx_row[i];
          if (bias) v += bias[(g * in + i) * args.bias.strides[0]];
          gx_row[i] = v;
        }
      }
    }
  });
}

template <class T>
void weight_grad(const ConvWeightGradArgs& args) {
  const TensorView &gy = args.gy, &x = args.x, &gw = args.gw;
  const ConvShape& s = args.shape;
  const int space = gy.rank - 2;
  const int64_t in = gw.sizes[1], out = gw.sizes[0] / s.groups, rows = rows_of(gy);
  const int64_t columns = gw.sizes[0] == 0 ? 0 : gw.numel() / gw.sizes[0];
  parallel_for(gw.sizes[0], ref::row_grain(rows * columns), [&](int64_t begin, int64_t end) {
    ref::ChainRow<T> chain(columns);
    for (int64_t o = begin; o < end; ++o) {
      chain.begin();
      for (int64_t r = 0; r < rows; ++r) {
        chain.next_index();
        const Place from = place(gy, r);
        const T g = *row<const T>(gy, from, o);
        int64_t column = 0;
        each_tap(gw, [&](const int64_t* tap, int64_t) {
          const Place at = input_of(s, from, tap, space);
          const bool there = inside(x, at);
          chain.add(g, there ? row<const T>(x, at, o / out * in) : &kZero<T>, there ? 1 : 0, column, in);
          column += in;
        });
      }
      const T* sum = chain.end();
      each_tap(gw, [&](const int64_t*, int64_t offset) {
        for (int64_t i = 0; i < in; ++i) {
          T& to = gw.ptr<T>()[o * gw.strides[0] + i * gw.strides[1] + offset];
          to = args.beta != 0 ? *sum + to : *sum;
          ++sum;
        }
      });
    }
  });
}

}  // namespace

void ref_conv(const ConvArgs& a) { a.dtype() == DType::f32 ? forward<float>(a) : forward<double>(a); }
void ref_conv_input_grad(const ConvInputGradArgs& a) {
  a.dtype() == DType::f32 ? input_grad<float>(a) : input_grad<double>(a);
}
void ref_conv_weight_grad(const ConvWeightGradArgs& a) {
  a.dtype() == DType::f32 ? weight_grad<float>(a) : weight_grad<double>(a);
}

void ref_conv1d(const Conv1dArgs& a) { ref_conv(any_rank(a)); }
void ref_conv1d_input_grad(const Conv1dInputGradArgs& a) { ref_conv_input_grad(any_rank(a)); }
void ref_conv1d_weight_grad(const Conv1dWeightGradArgs& a) { ref_conv_weight_grad(any_rank(a)); }

}  // namespace tapedeck::kernels
