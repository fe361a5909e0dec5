// Codes to rows of numbers.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

#include <optional>

namespace tapedeck {
constexpr auto names(BagMode*) {
  return io::enum_names<BagMode>({{BagMode::sum, "sum"}, {BagMode::mean, "mean"}, {BagMode::max, "max"}});
}
}  // namespace tapedeck

namespace tapedeck::nn {

// codes i64 [...] -> [..., channels]. weight [num_embeddings, embedding_dim], N(0, 1) at the start,
// but the row padding_idx (negative from the end) is 0 and gets no gradient. With max_norm, each call first shrinks the
// rows that it reads, in place, to at most that norm; no gradient sees it.
struct EmbeddingConfig {
  std::int64_t num_embeddings = 1, embedding_dim = 1;
  std::optional<std::int64_t> padding_idx{};
  std::optional<double> max_norm{};
  double norm_type = 2;
  bool scale_grad_by_freq = false;
  static constexpr const char* type_name = "Embedding";
  static constexpr io::Doc doc{"A learned row of a table for each code.", "Bengio et al. 2003"};
  static constexpr void fields(auto&& f) {
    using C = EmbeddingConfig;
    f("num_embeddings", &C::num_embeddings, positive("rows of the table"));
    f("embedding_dim", &C::embedding_dim, positive("width of a row"));
    f("padding_idx", &C::padding_idx, io::Meta{.help = "the row that stays as it is; null: none"});
    f("max_norm", &C::max_norm, io::Meta{.min = 1e-9, .max = 1e9, .help = "largest norm of a row; null: any"});
    f("norm_type", &C::norm_type, io::Meta{.min = 1, .max = 100, .help = "p of that norm"});
    f("scale_grad_by_freq", &C::scale_grad_by_freq,
      io::Meta{.help = "divide a row's gradient by how often it is read"});
  }
  void validate(io::Issues& issues) const;
};
class Embedding : public Configured<EmbeddingConfig> {
 public:
  explicit Embedding(EmbeddingConfig config = {});
  Tensor forward(const Tensor& codes) override;
  Param weight;

 private:
  void shrink(const Tensor& codes) const;
};

// codes i64 [batch, n], or [n] with offsets i64 [batch], where each bag starts -> [batch, channels].
struct EmbeddingBagConfig {
  std::int64_t num_embeddings = 1, embedding_dim = 1;
  BagMode mode = BagMode::mean;
  bool include_last_offset = false;
  std::optional<std::int64_t> padding_idx{};
  static constexpr const char* type_name = "EmbeddingBag";
  static constexpr io::Doc doc{"Sum, mean or largest of the rows of each bag of codes."};
  static constexpr void fields(auto&& f) {
    using C = EmbeddingBagConfig;
    f("num_embeddings", &C::num_embeddings, positive("rows of the table"));
    f("embedding_dim", &C::embedding_dim, positive("width of a row"));
    f("mode", &C::mode, io::Meta{.help = "how the rows of a bag are joined"});
    f("include_last_offset", &C::include_last_offset, io::Meta{.help = "the offsets end with the number of codes"});
    f("padding_idx", &C::padding_idx, io::Meta{.help = "codes that count as absent; null: none"});
  }
  void validate(io::Issues& issues) const;
};
class EmbeddingBag : public Configured<EmbeddingBagConfig, Module>, public Callable<EmbeddingBag> {
 public:
  explicit EmbeddingBag(EmbeddingBagConfig config = {});
  Tensor forward(const Tensor& codes, const Tensor& offsets = {}, const Tensor& per_sample_weights = {});
  Param weight;
};

// codes i64 [...] -> [..., classes].
struct OneHotConfig {
  std::int64_t classes = 256;
  static constexpr const char* type_name = "OneHot";
  static constexpr io::Doc doc{"1 at the place that a code names, 0 elsewhere."};
  static constexpr void fields(auto&& f) { f("classes", &OneHotConfig::classes, positive("number of codes")); }
};
class OneHot : public Configured<OneHotConfig> {
 public:
  explicit OneHot(OneHotConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& codes) override { return one_hot(codes, config().classes, dtype()); }
};

// codes i64 [...] -> [..., 1].
struct LinearizeConfig {
  std::int64_t classes = 256;
  static constexpr const char* type_name = "Linearize";
  static constexpr io::Doc doc{"Codes as numbers in [-1, 1): 2 (code / classes - 1/2)."};
  static constexpr void fields(auto&& f) { f("classes", &LinearizeConfig::classes, positive("number of codes")); }
};
class Linearize : public Configured<LinearizeConfig> {
 public:
  explicit Linearize(LinearizeConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& codes) override;
};

}  // namespace tapedeck::nn
