// The shapes that an example declares ("x [batch, time, in] -> [batch, time / stride, out]"), read and compared.
#pragma once
#include <tapedeck/nn/registry.h>

#include <map>
#include <string>
#include <vector>

namespace tapedeck::nn {

using Dims = std::vector<std::string>;  // of one tensor, as the text has them

class ShapeText {
 public:
  // hparams: the extended form, whose members are sizes that the text may name. ValueError when it cannot be read.
  ShapeText(const std::string& text, io::Node hparams);
  const std::vector<Dims>& inputs() const { return inputs_; }
  const std::vector<Dims>& outputs() const { return outputs_; }
  // The dimension called "batch", or the first one of "..."; -1 without any.
  static int batch_of(const Dims& dims, int rank);
  // Compares in the order in which they stand: sizes that are not known yet are learned from inputs. Returns what is
  // wrong, or "".
  std::string compare(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs);

 private:
  std::string compare_one(const Dims& dims, const Shape& shape, bool input);
  std::optional<std::int64_t> value(const std::string& expression);  // of known sizes alone
  std::optional<std::int64_t> named(const std::string& name);

  io::Node hparams_;
  std::vector<Dims> inputs_, outputs_;
  std::map<std::string, std::int64_t> sizes_;
  std::optional<std::vector<std::int64_t>> dots_;
};

}  // namespace tapedeck::nn
