// What every generation plan asks of its arguments (private to this folder).
#pragma once
#include <tapedeck/autograd/ops.h>

#include <cmath>
#include <span>

namespace tapedeck::nn {

struct PlanChecks {
  std::int64_t batch, classes, least;  // least: codes that a prompt needs before there are logits

  void code(std::int64_t c) const {
    TD_CHECK(c >= 0 && c < classes, ValueError, "WaveNet plan: the code ", c, " is outside [0, ", classes, ")");
  }
  Tensor prompt(const Tensor& codes) const {  // in one piece, on the CPU
    TD_CHECK(codes.defined() && codes.dim() == 2 && codes.dtype() == DType::i64 && codes.size(0) == batch, ShapeError,
             "prime: the prompt must be i64 [", batch, ", n]",
             codes.defined() ? arg("codes", codes) : std::string("; it is undefined"));
    const std::int64_t n = codes.size(1);
    TD_CHECK(n >= least, ValueError, "prime: the prompt needs at least ", least, " codes per stream, not ", n);
    const Tensor in_one_piece = contiguous(detach(codes).to(kCpu));
    const std::int64_t* c = in_one_piece.data<std::int64_t>();
    for (std::int64_t i = 0; i < n * batch; ++i) code(c[i]);
    return in_one_piece;
  }
  void given(std::span<const std::int64_t> codes) const {
    TD_CHECK(static_cast<std::int64_t>(codes.size()) == batch, ShapeError, "feed: needs ", batch, " codes, not ",
             codes.size());
    for (const std::int64_t c : codes) code(c);
  }
  void has_logits(const char* what, std::int64_t position) const {
    TD_CHECK(position >= least, ValueError, what, ": needs a prompt of at least ", least,
             " codes first (prime), and there were ", position);
  }
  // Arguments of `steps` steps at once.
  void draws(const char* what, std::int64_t steps, std::span<const float> uniforms, double temperature,
             std::span<const std::int64_t> codes) const {
    TD_CHECK(static_cast<std::int64_t>(uniforms.size()) == steps * batch && uniforms.size() == codes.size(), ShapeError,
             what, ": needs ", steps * batch, " uniforms and as many codes, not ", uniforms.size(), " and ",
             codes.size());
    TD_CHECK(temperature >= 0 && std::isfinite(temperature), ValueError, what,
             ": the temperature must be finite and >= 0, not ", temperature);
    for (const float u : uniforms) TD_CHECK(u >= 0 && u < 1, ValueError, what, ": uniforms are in [0, 1), not ", u);
  }
};

}  // namespace tapedeck::nn
