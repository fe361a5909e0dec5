// GenerationPlan: a network prepared for one sample after the other. It holds packed copies of the weights and its own
// state (later changes of the network do not reach it), and a step allocates nothing.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <cstdint>
#include <span>
#include <string>

namespace tapedeck::nn {

class GenerationPlan {
 public:
  virtual ~GenerationPlan() = default;

  virtual std::int64_t batch() const = 0;  // streams side by side
  virtual std::int64_t classes() const = 0;
  virtual std::size_t state_bytes() const = 0;  // rings and buffers, without the weights
  virtual std::int64_t position() const = 0;    // samples taken in since the last reset

  virtual void reset() = 0;  // as just made: nothing taken in
  // Starts anew from a recording: codes i64 [batch, n], n >= the least prompt of the network (1; valid padding: its
  // receptive field). ValueError otherwise, or for codes outside [0, classes).
  virtual void prime(const Tensor& codes) = 0;
  // Takes in one given code per stream (teacher forcing).
  virtual void feed(std::span<const std::int64_t> codes) = 0;
  // Draws the next code of each stream from logits() with uniforms[i] in [0, 1) (sample_categorical; temperature 0
  // takes the largest), writes it to codes[i] and takes it in. ValueError before the prompt is complete.
  virtual void step(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes) = 0;
  // As many steps as there are uniforms for: uniforms and codes are [steps, batch]. On a device this is far faster than
  // step by step: the whole loop runs there.
  virtual void steps(std::span<const float> uniforms, double temperature, std::span<std::int64_t> codes);
  // Logits of the code that comes next, row-major [batch, classes]: on the CPU the bits of the network's forward in
  // eval mode at that position. ValueError before the prompt is complete.
  virtual std::span<const float> logits() const = 0;
  virtual std::string how() const { return "step by step"; }  // in a few words: how it works

 protected:
  GenerationPlan() = default;
  GenerationPlan(const GenerationPlan&) = delete;
};

}  // namespace tapedeck::nn
