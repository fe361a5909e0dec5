#include <tapedeck/nn/network.h>

namespace tapedeck::nn {

Tensor Network::loss(const Tensor& codes, Reduction reduction) {
  TD_CHECK(codes.defined() && codes.dim() == 2, ShapeError, type_name(), " loss: codes must be [batch, time]");
  const std::int64_t n = codes.size(1) - 1;
  TD_CHECK(n >= 1 && output_length(n) >= 1, ShapeError, type_name(), " loss: needs at least ", receptive_field() + 1,
           " codes per row, inputs and targets together", arg("codes", codes));
  // Lookups take their indices in one piece: two small copies, made here once.
  const Tensor logits = (*this)(contiguous(narrow(codes, 1, 0, n)));
  const Tensor targets = contiguous(narrow(codes, 1, shift(), n + 1 - shift()));
  const bool is_short = logits.dtype() == DType::bf16 || logits.dtype() == DType::f16;
  return cross_entropy(is_short ? cast(logits, DType::f32) : logits, targets, {.reduction = reduction});
}

void GenerationPlan::steps(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes) {
  const auto width = static_cast<std::size_t>(batch());
  TD_CHECK(uniforms.size() % width == 0 && uniforms.size() == codes.size(), ShapeError, "steps: needs ", width,
           " uniforms and as many codes for each step, not ", uniforms.size(), " and ", codes.size());
  for (std::size_t i = 0; i < uniforms.size(); i += width)
    step(uniforms.subspan(i, width), temperature, codes.subspan(i, width));
}

}  // namespace tapedeck::nn
