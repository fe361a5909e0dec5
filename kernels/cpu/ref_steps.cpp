#include <tapedeck/kernels/common/elementwise_math.h>
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/ref_chain.h>
#include <tapedeck/kernels/cpu/step_layout.h>

#include <algorithm>
#include <cstring>

namespace tapedeck::kernels {
namespace {

float weight_at(const float* row, std::int64_t column) { return row[column]; }
float weight_at(const BFloat16* row, std::int64_t column) {
  return row[column / kStepBlock * kStepBlock + column % 16 * 2 + column % kStepBlock / 16].to_float();
}

void finish(const StepProduct& p, std::int64_t block, std::int64_t r, const float* s) {
  if (p.partial) {
    std::copy_n(s, kStepBlock, p.y + r * p.y_row + block * kStepBlock);
    return;
  }
  float* y = p.y + r * p.y_row;
  if (p.then == StepThen::gate) {
    for (std::int64_t j = 0, i = block * 16; j < 16 && i < p.n; ++j, ++i)
      y[i] = static_cast<float>(math::Tanh::value<double>(s[j], 0, 0)) *
             static_cast<float>(math::Sigmoid::value<double>(s[16 + j], 0, 0));
  } else {
    for (std::int64_t j = 0, i = block * kStepBlock; j < kStepBlock && i < p.n; ++j, ++i)
      y[i] = p.then == StepThen::add ? p.add[r * p.add_row + i] + s[j] : s[j];
  }
}

template <class W>
void panel(const StepProduct& p, const StepPanel& from, float* row) {
  const std::int64_t first = from.begin * kStepBlock, columns = from.end * kStepBlock - first;
  ref::ChainRow<float> chain(columns);
  const auto* packed = reinterpret_cast<const W*>(from.weight);
  for (std::int64_t r = 0; r < p.rows; ++r) {
    const W* weight = packed;
    chain.begin();
    for (std::int64_t i = 0; i < p.begun_k; ++i) chain.next_index();
    if (p.begun) chain.add(1, p.begun + r * p.begun_row + first, 1, 0, columns);
    for (int s = 0; s < p.segments; ++s)
      for (std::int64_t i = 0; i < p.x[s].length; ++i, weight += columns) {
        for (std::int64_t j = 0; j < columns; ++j) row[j] = weight_at(weight, j);
        chain.next_index();
        chain.add(p.x[s].x[r * p.x[s].row_stride + i], row, 1, 0, columns);
      }
    const float *sum = chain.end(), *bias = reinterpret_cast<const float*>(packed + p.k * columns);
    for (std::int64_t j = 0; j < columns; ++j) row[j] = p.bias ? sum[j] + bias[j] : sum[j];
    for (std::int64_t b = from.begin; b < from.end; ++b) finish(p, b, r, row + (b * kStepBlock - first));
  }
}

}  // namespace

void ref_steps(const StepsArgs& a) {
  float row[kStepPanel * kStepBlock];
  for (std::int64_t i = 0; i < a.count; ++i) {
    if (a.parts[i].idle) continue;
    if (a.parts[i].call) {
      a.parts[i].call(a.parts[i].with);
      continue;
    }
    const StepProduct& p = a.parts[i].product;
    for (int share = 0; share < p.shares; ++share) {
      const StepLayout layout(p, share);
      for (std::int64_t k = 0; k < layout.panels(); ++k)
        p.weights == DType::bf16 ? panel<BFloat16>(p, layout.panel(k), row) : panel<float>(p, layout.panel(k), row);
    }
  }
}

std::int64_t step_bytes(const StepProduct& p) {
  return (StepLayout::blocks(p) + p.shares - 1) / p.shares * StepLayout(p, 0).block_bytes();
}

std::int64_t step_columns(const StepProduct& p) { return StepLayout::blocks(p) * kStepBlock; }

void pack_step(const TensorView& weight, const TensorView& bias, const StepProduct& p, void* packed) {
  const bool taps = weight.rank == 3, half = p.weights == DType::bf16;
  const std::int64_t inputs = weight.sizes[1];
  StepProduct at = p;
  at.weight = packed;
  const auto output = [&](std::int64_t column) {  // of a column; -1 behind the last
    const std::int64_t block = column / kStepBlock, j = column % kStepBlock;
    if (p.then != StepThen::gate) return column < p.n ? column : -1;
    const std::int64_t channel = block * 16 + j % 16;
    return channel >= p.n ? -1 : j < 16 ? channel : p.n + channel;
  };
  for (int share = 0; share < p.shares; ++share) {
    const StepLayout layout(at, share);
    for (std::int64_t i = 0; i < layout.panels(); ++i) {
      const StepPanel to = layout.panel(i);
      const std::int64_t first = to.begin * kStepBlock, columns = to.end * kStepBlock - first;
      char* memory = const_cast<char*>(to.weight);
      for (std::int64_t k = 0; k < p.k; ++k)
        for (std::int64_t j = 0; j < columns; ++j) {
          const std::int64_t o = output(first + j);
          const float w = o < 0 ? 0
                                : weight.ptr<const float>()[o * weight.strides[0] + k % inputs * weight.strides[1] +
                                                            (taps ? k / inputs * weight.strides[2] : 0)];
          if (half) {
            const std::int64_t place = j / kStepBlock * kStepBlock + j % 16 * 2 + j % kStepBlock / 16;
            reinterpret_cast<BFloat16*>(memory)[k * columns + place] = BFloat16::from(w);
          } else {
            reinterpret_cast<float*>(memory)[k * columns + j] = w;
          }
        }
      if (!p.bias) continue;
      auto* behind = reinterpret_cast<float*>(memory + p.k * columns * (half ? 2 : 4));
      for (std::int64_t j = 0; j < columns; ++j) {
        const std::int64_t o = output(first + j);
        behind[j] = o < 0 ? 0 : bias.ptr<const float>()[o * bias.strides[0]];
      }
    }
  }
}

}  // namespace tapedeck::kernels
