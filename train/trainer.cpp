#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/random.h>
#include <tapedeck/train/shard_sum.h>
#include <tapedeck/train/trained.h>
#include <tapedeck/train/trainer.h>
#include <tapedeck/train/version.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tapedeck::train {
namespace {

nn::Part<nn::Network> materialised(nn::Part<nn::Network> network, const RunConfig& config, Device device) {
  io::check(config, "config");
  if (!network->materialised()) {
    nn::materialise(*network, {.seed = static_cast<std::uint64_t>(config.train.seed)});
  }
  if (network->device() != device) network->to(device, network->dtype());
  return network;
}

// "a.wav@1200, b.wav@40, …": enough names to find the recording.
std::string names_of(const CodeSet& codes, const std::vector<io::Window>& windows) {
  constexpr std::size_t most = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(windows.size(), most); ++i) text += (i ? ", " : "") + codes.name(windows[i]);
  return windows.size() > most ? text + ", …" : text;
}

}  // namespace

std::int64_t window_length(const nn::Network& network, const TrainConfig& config) {
  return network.shift() + config.segment;
}

Trainer::Trainer(RunConfig config, nn::Part<nn::Network> network, const io::SoundSet& sounds, Device device,
                 DType precision)
    : config_(std::move(config)),
      network_(materialised(std::move(network), config_, device)),
      codec_(config_.io.encoding, config_.io.levels),
      codes_(sounds, codec_, network_->shift(), config_.train.segment),
      held_out_(codes_.scored(io::Split::valid)),
      feed_(device),
      optimizer_(make_optimizer(config_.train.optimizer, *network_)),
      loss_scale_(precision) {
  network_->train();
  if (precision != DType::f32) {
    short_.emplace(network_, precision);
    short_->network().train();
  }
}

std::vector<io::Window> Trainer::windows_of(std::int64_t step) const {
  std::vector<io::Window> windows;
  for (std::int64_t row = 0; row < config_.train.batch_size; ++row)
    windows.push_back(codes_.draw(static_cast<std::uint64_t>(config_.train.seed), step, row));
  return windows;
}

double Trainer::shard_gradients(const std::vector<io::Window>& windows) {
  const std::int64_t shards = config_.train.shards, rows = std::ssize(windows) / shards;
  const auto part_of = [&](std::span<const io::Window> all, std::int64_t s) {
    return all.subspan(static_cast<std::size_t>(s * rows), static_cast<std::size_t>(rows));
  };
  nn::Network& network = short_ ? short_->network() : *network_;
  if (short_) short_->take_weights();
  ShardSum sum;
  for (std::int64_t s = 0; s < shards; ++s) {
    std::vector<std::int64_t> ids;
    for (std::int64_t r = 0; r < rows; ++r) ids.push_back(s * rows + r);
    const RandomScope scope(static_cast<std::uint64_t>(config_.train.seed), static_cast<std::uint64_t>(step_), ids);
    network.zero_grad();
    Tape tape;
    const Tensor loss = network.loss(feed_.take(codes_, part_of(windows, s)));
    tape.backward(loss, full(loss.sizes(), loss_scale_.value() / static_cast<double>(shards), loss.options()));
    if (short_) short_->give_gradients();
    // A device is at work now: meanwhile the next batch is drawn and copied.
    if (s + 1 < shards)
      feed_.fetch(codes_, part_of(windows, s + 1));
    else if (feed_.ahead() && step_ + 1 < config_.train.max_steps)
      feed_.fetch(codes_, part_of(windows_of(step_ + 1), 0));
    if (shards == 1) return loss.item();
    std::vector<Tensor> part{clone(detach(loss))};
    for (const nn::Arena& arena : network_->arenas()) part.push_back(clone(arena.gradients));
    sum.add(std::move(part));
  }
  const std::vector<Tensor> total = sum.total();
  for (std::size_t i = 1; i < total.size(); ++i) copy_(network_->arenas()[i - 1].gradients, total[i]);
  return total[0].item() / static_cast<double>(shards);
}

StepReport Trainer::advance() {
  const TrainConfig& train = config_.train;
  const std::vector<io::Window> windows = windows_of(step_);
  if (train.average > 0 && !average_) average_.emplace(*network_, train.average, true);
  StepReport report;
  report.bits = shard_gradients(windows) / std::numbers::ln2;
  const double loss_scale = loss_scale_.value();
  report.grad_norm = gradient_norm(*network_) / loss_scale;
  report.rate = learning_rate(train.schedule, step_, train.max_steps);
  report.applied = std::isfinite(report.bits) && std::isfinite(report.grad_norm);
  if (report.applied) {
    const double scale = train.clip > 0 && report.grad_norm > train.clip ? train.clip / report.grad_norm : 1;
    optimizer_->step(report.rate, scale / loss_scale);
    if (average_) average_->update();
    loss_scale_.good_step();
    bad_steps_in_row_ = 0;
  } else if (std::isfinite(report.bits) && loss_scale_.overflowed()) {
    report.problem =
        detail::join({"step ", step_, ": the gradient overflowed f16, the step is skipped; losses are scaled by ",
                      loss_scale_.value(), " from now on"});
  } else {
    report.problem = detail::join({"step ", step_, ": the ", std::isfinite(report.bits) ? "gradient" : "loss",
                                   " is not finite, the step is skipped; its batch: ", names_of(codes_, windows)});
    ++bad_steps_;
    ++bad_steps_in_row_;
  }
  ++step_;
  return report;
}

std::unique_ptr<WeightAverage::Use> Trainer::use_average() const {
  return average_ ? std::make_unique<WeightAverage::Use>(*average_) : nullptr;
}

Score Trainer::validate(std::int64_t most) const {
  const auto averaged = use_average();
  return score(*network_, codes_, CodeSet::thinned(held_out_, most), config_.train.batch_size);
}

std::vector<io::CheckpointFile> Trainer::checkpoint_files(const io::Node& more) const {
  io::Node state = io::Node::object();
  state["format_version"] = 1;
  state["tapedeck"] = version();
  state["step"] = step_;
  state["bad_steps"] = bad_steps_;
  state["bad_steps_in_row"] = bad_steps_in_row_;
  if (loss_scale_.moves()) {
    state["loss_scale"] = loss_scale_.value();
    state["loss_scale_steps"] = loss_scale_.good_steps();
  }
  if (average_) state["average_updates"] = average_->updates();
  for (const auto& [key, value] : more.members()) state[key] = value;
  nn::StateDict model = network_->state_dict(), unaveraged;
  if (average_) {
    unaveraged = model;
    const auto averaged = use_average();
    for (nn::NamedTensor& t : model) t.tensor = clone(t.tensor);
  }
  std::vector<io::CheckpointFile> files{{"config.json", io::dump_json(io::save(config_)) + "\n"},
                                        {"model.safetensors", to_safetensors(model)},
                                        {"optimizer.safetensors", to_safetensors(optimizer_->state())},
                                        {"starts.safetensors", to_safetensors({{"codes", starts()}})},
                                        {"trainer_state.json", io::dump_json(state) + "\n"}};
  if (average_) files.push_back({"unaveraged.safetensors", to_safetensors(unaveraged)});
  return files;
}

io::Node Trainer::restore(const std::string& folder) {
  io::Node state = read_state(folder + "/trainer_state.json");
  const std::int64_t step = state.at("step").integer(), bad = state.at("bad_steps").integer(),
                     in_row = state.at("bad_steps_in_row").integer();
  const io::Node* const averaged = state.find("average_updates");
  const std::int64_t updates = averaged ? averaged->integer() : 0;
  const io::SafeTensors optimizer = io::read_safetensors(folder + "/optimizer.safetensors");
  load_weights(*network_, folder, {});
  average_.reset();
  if (averaged && config_.train.average > 0) {
    std::vector<Tensor> values;
    for (const nn::Arena& arena : network_->arenas()) values.push_back(arena.values);
    average_.emplace(*network_, config_.train.average, true).load(values, updates);
  }
  if (averaged) load_weights(*network_, folder + "/unaveraged.safetensors", {});
  optimizer_->load_state(to_state(optimizer));
  step_ = step;
  bad_steps_ = bad;
  bad_steps_in_row_ = in_row;
  if (const io::Node* scale = state.find("loss_scale"); scale && loss_scale_.moves())
    loss_scale_.set(scale->real(), state.at("loss_scale_steps").integer());
  return state;
}

}  // namespace tapedeck::train
