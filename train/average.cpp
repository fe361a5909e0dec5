#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/optim.h>
#include <tapedeck/train/average.h>

#include <algorithm>

namespace tapedeck::train {

WeightAverage::WeightAverage(const nn::Module& root, double decay, bool warm_up)
    : root_(root), decay_(decay), warm_up_(warm_up), layout_(root.layout()) {
  TD_CHECK(decay >= 0 && decay <= 1, ValueError, "WeightAverage: decay must be from 0 to 1 but is ", decay);
  const NoGrad pause;
  for (const nn::Arena& arena : root.arenas()) averages_.push_back(clone(arena.values));
}

void WeightAverage::check_layout(const char* what) const {
  TD_CHECK(root_.layout() == layout_, ValueError, what,
           ": the module's parameters were laid out anew since the average was made; make another one");
}

void WeightAverage::update() {
  check_layout("WeightAverage::update");
  const double n = static_cast<double>(++updates_), decay = warm_up_ ? std::min(decay_, n / (n + 9)) : decay_;
  for (std::size_t i = 0; i < averages_.size(); ++i) {
    const Tensor& values = root_.arenas()[i].values;
    if (values.numel() > 0) kernels::average(values.device(), {averages_[i], values, decay});
  }
}

void WeightAverage::load(const std::vector<Tensor>& values, std::int64_t updates) {
  TD_CHECK(values.size() == averages_.size(), ShapeError, "WeightAverage::load: ", averages_.size(),
           " arenas have averages, not ", values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    TD_CHECK(values[i].defined() && values[i].sizes() == averages_[i].sizes(), ShapeError,
             "WeightAverage::load: arena ", i, " has ", averages_[i].numel(), " values", arg("values", values[i]));
    TD_CHECK(values[i].dtype() == averages_[i].dtype(), DTypeError, "WeightAverage::load: arena ", i, " is of ",
             name(averages_[i].dtype()), arg("values", values[i]));
  }
  TD_CHECK(updates >= 0, ValueError, "WeightAverage::load: updates must be at least 0 but are ", updates);
  const NoGrad pause;
  for (std::size_t i = 0; i < values.size(); ++i) copy_(averages_[i], values[i].to(averages_[i].device()));
  updates_ = updates;
}

WeightAverage::Use::Use(const WeightAverage& average) : average_(average) {
  average.check_layout("WeightAverage::Use");
  const NoGrad pause;
  const auto& arenas = average.root_.arenas();
  for (const nn::Arena& arena : arenas) own_.push_back(clone(arena.values));
  for (std::size_t i = 0; i < own_.size(); ++i) copy_(arenas[i].values, average.averages_[i]);
}
WeightAverage::Use::~Use() {
  if (average_.root_.layout() != average_.layout_) return;
  const NoGrad pause;
  for (std::size_t i = 0; i < own_.size(); ++i) copy_(average_.root_.arenas()[i].values, own_[i]);
}

}  // namespace tapedeck::train
