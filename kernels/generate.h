// Generation of many samples per call by a device: a network's own loop, from weights to drawn codes.
#pragma once
#include <tapedeck/kernels/elementwise.h>

#include <memory>
#include <span>
#include <vector>

namespace tapedeck::kernels {

// A function of one argument by its slot; nullptr: the identity.
struct PointFunction {
  const KernelSlot<UnaryArgs>* slot = nullptr;
  double p0 = 0, p1 = 0;
};

// What a slot of generation makes: a network on a device with the state of its streams. Host memory goes in and out.
class StreamGenerator {
 public:
  virtual ~StreamGenerator() = default;
  virtual void reset() = 0;  // as just made: nothing taken in
  // Each of `steps` times, every stream takes in a code: given[t * batch + i] (i32) where it is not negative, else one
  // drawn from the logits so far by uniforms[t * batch + i] and the temperature (sample_categorical), written to
  // drawn[t * batch + i] (given codes too). DeviceError when a wait on the device was in vain; reset() makes it usable.
  virtual void run(std::int64_t steps, const std::int32_t* given, const float* uniforms, double temperature,
                   std::int32_t* drawn) = 0;
  virtual void logits(float* to) = 0;  // [batch, classes], after the last code taken in
  virtual std::size_t state_bytes() const = 0;
  virtual const char* how() const = 0;  // in a few words: how the work is spread

 protected:
  StreamGenerator() = default;
  StreamGenerator(const StreamGenerator&) = delete;
};

// A WaveNet (nn/wavenet.h): x = table[code]; per layer u = conv(x and its past), y = activation(u) or activation(f) *
// gate(g) of u's halves, skips += skip(y), x = x + residual(y), or y; logits = head(head_input(skips, or x)). All views
// are f32 on the CPU and read during the call; a bias that is not given is 0.
struct WaveNetGenerateArgs {
  struct Linear {
    TensorView weight, bias;  // [out, in] and [out]; not given: the map does not exist
  };
  struct Layer {
    TensorView conv, conv_bias;  // [out, in / groups, taps]
    std::int64_t dilation = 1, groups = 1;
    PointFunction activation, gate;
    bool gated = true;
    Linear residual, skip;
  };
  struct Head {
    Linear linear;
    PointFunction function;  // of its output
  };
  TensorView table;  // [classes, in]
  std::vector<Layer> layers;
  PointFunction head_input;
  std::vector<Head> head;        // the last has classes outputs, or one more: the learned temperature
  double least_temperature = 0;  // > 0: logits are divided by max(sigmoid(last output), this)
  std::int64_t batch = 1;
  Device device{};
  std::int64_t patience = std::int64_t{1} << 24;  // looks at a message that does not come, before the work is given up
  std::unique_ptr<StreamGenerator>* made = nullptr;
  DType dtype() const { return DType::f32; }
};
extern KernelSlot<WaveNetGenerateArgs> wavenet_generate;  // no variant on the CPU: nn/wavenet_plan.cpp is the CPU's

}  // namespace tapedeck::kernels
