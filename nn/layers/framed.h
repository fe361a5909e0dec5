// Codes and channels in frames: windows of frame_size steps, one every `hop`.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/conv.h>
#include <tapedeck/nn/layers/embedding.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/module.h>

namespace tapedeck::nn {

struct ChunkedLinearConfig {
  std::int64_t in_features = 1, out_features = 1, chunks = 1;
  bool bias = true;
  static constexpr const char* type_name = "ChunkedLinear";
  static constexpr io::Doc doc{"The sum of the `chunks` equal parts of Linear(x): heads that add up."};
  static constexpr void fields(auto&& f) {
    using C = ChunkedLinearConfig;
    f("in_features", &C::in_features, positive("input channels"));
    f("out_features", &C::out_features, positive("output channels"));
    f("chunks", &C::chunks, io::Meta{.min = 1, .max = 4096, .help = "parts that are added"});
    f("bias", &C::bias, io::Meta{.help = "add learned constants"});
  }
};
class ChunkedLinear : public Configured<ChunkedLinearConfig> {
 public:
  explicit ChunkedLinear(ChunkedLinearConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Linear> proj_;
};

// What the layers over frames of codes share: codes i64 [batch, time] -> [batch, frames, out].
enum class FramedKind { linear, conv, embedding_conv, embedding_bag };
template <FramedKind K>
struct FramedConfig {
  std::int64_t classes = 256, frame_size = 2, hop = 2, out_features = 1;
  static constexpr const char* type_name = K == FramedKind::linear           ? "FramedLinear"
                                           : K == FramedKind::conv           ? "FramedConv1d"
                                           : K == FramedKind::embedding_conv ? "FramedEmbeddingConv1d"
                                                                             : "FramedEmbeddingBag";
  static constexpr io::Doc doc{K == FramedKind::linear
                                   ? "Frames of codes as numbers in [-1, 1), each through a linear map."
                               : K == FramedKind::conv ? "Frames of codes as numbers in [-1, 1), through a convolution."
                               : K == FramedKind::embedding_conv ? "Frames of embedded codes, through a convolution."
                                                                 : "Frames of embedded codes, the mean of each."};
  static constexpr void fields(auto&& f) {
    using C = FramedConfig;
    f("classes", &C::classes, positive("number of codes"));
    f("frame_size", &C::frame_size, positive("steps of a frame"));
    f("hop", &C::hop, positive("steps between frames"));
    f("out_features", &C::out_features, positive("output channels"));
  }
};
// linear, conv: of the codes as numbers in [-1, 1), 2 (code / classes - 1/2). embedding_conv: a convolution over the
// rows of the codes, as wide as the output. embedding_bag: the mean of their rows.
template <FramedKind K>
class Framed : public Configured<FramedConfig<K>> {
 public:
  explicit Framed(FramedConfig<K> config = {});
  Tensor forward(const Tensor& codes) override;  // ShapeError unless [batch, time] with time >= frame_size

 private:
  Part<Linear> proj_;
  Part<Conv1d> conv_;
  Part<Embedding> embedding_;
};
using FramedLinearConfig = FramedConfig<FramedKind::linear>;
using FramedConv1dConfig = FramedConfig<FramedKind::conv>;
using FramedEmbeddingConv1dConfig = FramedConfig<FramedKind::embedding_conv>;
using FramedEmbeddingBagConfig = FramedConfig<FramedKind::embedding_bag>;
using FramedLinear = Framed<FramedKind::linear>;
using FramedConv1d = Framed<FramedKind::conv>;
using FramedEmbeddingConv1d = Framed<FramedKind::embedding_conv>;
using FramedEmbeddingBag = Framed<FramedKind::embedding_bag>;

}  // namespace tapedeck::nn
