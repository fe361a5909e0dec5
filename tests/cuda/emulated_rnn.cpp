// What rnn_vendor.cu does, in loops.
#include <tapedeck/kernels/common/rnn_math.h>
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/rnn_vendor.h>

#include <vector>

#include "emulated_cudnn.h"

namespace tapedeck::kernels::cuda_emulated {
namespace {

using std::int64_t;
using Numbers = std::vector<double>;

constexpr int64_t kKeptEach = 6;  // numbers of each unit of each step: four of the gates, the cell, the state

template <class T>
double at(const TensorView& v, int64_t i) {
  return static_cast<double>(load(v.ptr<T>()[i]));
}
template <class T>
double at(const TensorView& v, int64_t i, int64_t j) {
  return at<T>(v, i * v.strides[0] + j * v.strides[1]);
}
template <class T>
void put(const TensorView& v, int64_t i, double value) {
  v.ptr<T>()[i] = store<T>(static_cast<Compute<T>>(value));
}

// [rows] = weight [rows, n] @ x [n] + bias
template <class T, class X>
Numbers product(const TensorView& weight, const TensorView& bias, X x) {
  Numbers y(static_cast<std::size_t>(weight.sizes[0]));
  for (int64_t i = 0; i < weight.sizes[0]; ++i) {
    double sum = bias ? at<T>(bias, i * bias.strides[0]) : 0;
    for (int64_t j = 0; j < weight.sizes[1]; ++j) sum += at<T>(weight, i, j) * x(j);
    y[static_cast<std::size_t>(i)] = sum;
  }
  return y;
}

template <class T>
void forward(RnnLayerArgs a) {
  const int64_t batch = a.x.sizes[0], steps = a.x.sizes[1], in = a.x.sizes[2], width = a.weight_hh.sizes[1];
  const auto unit = [&](const Numbers& v, int64_t gate, int64_t k) {
    return v[static_cast<std::size_t>(gate * width + k)];
  };
  for (int64_t b = 0; b < batch; ++b) {
    Numbers h(static_cast<std::size_t>(width)), c = h;
    for (int64_t k = 0; k < width; ++k) {
      h[static_cast<std::size_t>(k)] = at<T>(a.h0, b * width + k);
      if (a.c0) c[static_cast<std::size_t>(k)] = at<T>(a.c0, b * width + k);
    }
    for (int64_t t = 0; t < steps; ++t) {
      const int64_t row = b * steps + t;
      const Numbers gi = product<T>(a.weight_ih, a.bias_ih, [&](int64_t j) { return at<T>(a.x, row * in + j); });
      const Numbers gh = product<T>(a.weight_hh, a.bias_hh, [&](int64_t j) { return h[static_cast<std::size_t>(j)]; });
      for (int64_t k = 0; k < width; ++k) {
        double &hk = h[static_cast<std::size_t>(k)], &ck = c[static_cast<std::size_t>(k)], gates[4] = {};
        if (a.cell == RnnCell::gru) {
          const auto s = math::gru_step<double>(unit(gi, 0, k), unit(gi, 1, k), unit(gi, 2, k), unit(gh, 0, k),
                                                unit(gh, 1, k), unit(gh, 2, k), hk);
          gates[0] = s.r, gates[1] = s.z, gates[2] = s.n, gates[3] = unit(gh, 2, k), hk = s.y;
        } else if (a.cell == RnnCell::lstm) {
          const auto s = math::lstm_step<double>(unit(gi, 0, k) + unit(gh, 0, k), unit(gi, 1, k) + unit(gh, 1, k),
                                                 unit(gi, 2, k) + unit(gh, 2, k), unit(gi, 3, k) + unit(gh, 3, k), ck);
          gates[0] = s.i, gates[1] = s.f, gates[2] = s.g, gates[3] = s.o, ck = s.c, hk = s.y;
        } else {
          const double sum = unit(gi, 0, k) + unit(gh, 0, k);
          hk = a.cell == RnnCell::tanh ? std::tanh(sum) : sum > 0 ? sum : 0;
        }
        put<T>(a.y, row * width + k, hk);
        if (!a.kept) continue;
        double* const kept = a.kept.ptr<double>() + (row * width + k) * kKeptEach;
        std::copy(gates, gates + 4, kept), kept[4] = ck, kept[5] = hk;
      }
    }
    for (int64_t k = 0; k < width; ++k) {
      put<T>(a.h_end, b * width + k, h[static_cast<std::size_t>(k)]);
      if (a.c_end) put<T>(a.c_end, b * width + k, c[static_cast<std::size_t>(k)]);
    }
  }
}

template <class T>
void backward(RnnLayerGradArgs a) {
  const int64_t batch = a.x.sizes[0], steps = a.x.sizes[1], in = a.x.sizes[2], width = a.weight_hh.sizes[1];
  const int64_t rows = a.weight_hh.sizes[0];
  const auto size = [](int64_t n) { return static_cast<std::size_t>(n); };
  Numbers gwi(size(rows * in)), gwh(size(rows * width)), gbi(size(rows)), gbh(size(rows));
  for (int64_t b = 0; b < batch; ++b) {
    Numbers dh(size(width)), dc(size(width));
    for (int64_t k = 0; k < width; ++k) {
      if (a.gh_end) dh[size(k)] = at<T>(a.gh_end, b * width + k);
      if (a.gc_end) dc[size(k)] = at<T>(a.gc_end, b * width + k);
    }
    for (int64_t t = steps - 1; t >= 0; --t) {
      const int64_t row = b * steps + t;
      const auto kept = [&](int64_t k) { return a.kept.ptr<double>() + (row * width + k) * kKeptEach; };
      const auto before = [&](int64_t k, const TensorView& start, int which) {
        return t > 0 ? (kept(k) - width * kKeptEach)[which] : at<T>(start, b * width + k);
      };
      Numbers di(size(rows)), dr(size(rows)), next(size(width));
      for (int64_t k = 0; k < width; ++k) {
        const double *const s = kept(k), gy = dh[size(k)] + at<T>(a.gy, row * width + k), h = before(k, a.h0, 5);
        const auto set = [&](int64_t gate, double of_x, double of_h) {
          di[size(gate * width + k)] = of_x, dr[size(gate * width + k)] = of_h;
        };
        if (a.cell == RnnCell::gru) {
          const auto d = math::gru_slopes<double>(gy, s[0], s[1], s[2], s[3], h);
          set(0, d.r, d.r), set(1, d.z, d.z), set(2, d.n, d.hn), next[size(k)] = d.h;
        } else if (a.cell == RnnCell::lstm) {
          const auto d = math::lstm_slopes<double>(gy, dc[size(k)], s[0], s[1], s[2], s[3], before(k, a.c0, 4), s[4]);
          set(0, d.i, d.i), set(1, d.f, d.f), set(2, d.g, d.g), set(3, d.o, d.o), dc[size(k)] = d.c;
        } else {
          const double slope = a.cell == RnnCell::tanh ? gy * (1 - s[5] * s[5]) : s[5] > 0 ? gy : 0;
          set(0, slope, slope);
        }
      }
      for (int64_t i = 0; i < rows; ++i) {
        gbi[size(i)] += di[size(i)], gbh[size(i)] += dr[size(i)];
        for (int64_t j = 0; j < in; ++j) gwi[size(i * in + j)] += di[size(i)] * at<T>(a.x, row * in + j);
        for (int64_t j = 0; j < width; ++j) {
          gwh[size(i * width + j)] += dr[size(i)] * before(j, a.h0, 5);
          next[size(j)] += dr[size(i)] * at<T>(a.weight_hh, i, j);
        }
      }
      for (int64_t j = 0; j < in; ++j) {
        double sum = 0;
        for (int64_t i = 0; i < rows; ++i) sum += di[size(i)] * at<T>(a.weight_ih, i, j);
        put<T>(a.gx, row * in + j, sum);
      }
      dh = next;
    }
    for (int64_t k = 0; k < width; ++k) {
      if (a.gh0) put<T>(a.gh0, b * width + k, dh[size(k)]);
      if (a.gc0) put<T>(a.gc0, b * width + k, dc[size(k)]);
    }
  }
  const auto give = [](const TensorView& to, const Numbers& from) {
    if (to)
      for (std::size_t i = 0; i < from.size(); ++i) put<T>(to, static_cast<int64_t>(i), from[i]);
  };
  give(a.gweight_ih, gwi), give(a.gweight_hh, gwh), give(a.gbias_ih, gbi), give(a.gbias_hh, gbh);
}

template <class Args, class F>
void of_type(const Args& a, F f32, F f64, F bf16, F f16) {
  const DType t = a.dtype();
  launch(a.x.device, {}, t == DType::f32 ? f32 : t == DType::f64 ? f64 : t == DType::bf16 ? bf16 : f16, a);
}
void must(bool holds, const char* rule) { TD_CHECK(holds, ValueError, "rnn_layer: ", rule); }

}  // namespace

const char* rnn_refuses(const RnnLayerArgs&) { return emulation::cudnn_is_there ? nullptr : "cuDNN is not here"; }
int64_t rnn_keeps(const RnnLayerArgs& a) {
  return a.x.sizes[0] * a.x.sizes[1] * a.weight_hh.sizes[1] * kKeptEach * static_cast<int64_t>(sizeof(double));
}

void run_rnn(const RnnLayerArgs& a) {
  const bool lstm = a.cell == RnnCell::lstm;
  must(a.c0.given() == lstm && a.c_end.given() == lstm, "only an LSTM has a cell");
  for (const TensorView* v : {&a.x, &a.h0, &a.y, &a.h_end}) must(v->contiguous(), "sequences and states lie packed");
  must(!lstm || (a.c0.contiguous() && a.c_end.contiguous()), "cells lie packed");
  must(!a.kept || a.kept.numel() == rnn_keeps(a), "what is kept has the size that was told");
  of_type(a, forward<float>, forward<double>, forward<BFloat16>, forward<Float16>);
}

void run_rnn_backward(const RnnLayerGradArgs& a) {
  for (const TensorView* v : {&a.x, &a.h0, &a.y, &a.gy, &a.gx}) must(v->given() && v->contiguous(), "given and packed");
  for (const TensorView* v :
       {&a.c0, &a.gh_end, &a.gc_end, &a.gweight_ih, &a.gweight_hh, &a.gbias_ih, &a.gbias_hh, &a.gh0, &a.gc0})
    must(!v->given() || v->contiguous(), "packed");
  of_type(a, backward<float>, backward<double>, backward<BFloat16>, backward<Float16>);
}

}  // namespace tapedeck::kernels::cuda_emulated
