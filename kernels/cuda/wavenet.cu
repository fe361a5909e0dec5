// WaveNet generation: plans where a network's layers run (wavenet_layout.cu), holds its weights and state on the
// device, and launches the kernel (wavenet_block.h) for as many steps as fit its buffers.
#include <tapedeck/kernels/cuda/wavenet_kernel.h>

#include <algorithm>
#include <memory>
#include <string>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace wavenet {

int kind_of(const PointFunction& f) {
  if (!f.slot) return kIdentity;
#define TD_KIND(name, Name) \
  if (f.slot == &kernels::name) return k##Name;
  TD_POINT_LIST(TD_KIND)
#undef TD_KIND
  return -1;
}

namespace {

Kernel kernel_of(bool fixed) { return fixed ? fixed_kernel() : any_kernel(); }

// The blocks of one cluster where there are some, else of the whole device.
Choice choose(const WaveNetGenerateArgs& a, bool clusters) {
  const Limits& limit = limits(a.device);
  const int layers = static_cast<int>(a.layers.size()), batch = static_cast<int>(a.batch);
  Choice c;
  c.shared = limit.shared_bytes;
  for (const unsigned cluster : {16u, 8u, 4u, 2u}) {
    if (!clusters || static_cast<int>(cluster) > layers) continue;
    c.blocks = static_cast<int>(cluster), c.cluster = c.blocks;
    c.fixed = fits_fixed(a, c.blocks);
    c.threads = c.fixed ? Fixed::kThreads : threads_for(a);
    const int most = resident_clusters(a.device, kernel_of(c.fixed), cluster, c.threads, std::size_t(c.shared));
    if (most < 1) continue;
    c.groups = std::min(batch, most);
    // Mailboxes of many streams leave no room for weights: then they lie in global memory, where it is the time that
    // all streams take together that counts.
    if (least_shared(a, c) <= c.shared / 3) return c;
    break;
  }
  c.cluster = 0;
  c.fixed = fits_fixed(a, c.blocks);
  c.threads = c.fixed ? Fixed::kThreads : threads_for(a);
  const int per = resident_blocks(a.device, kernel_of(c.fixed), c.threads, std::size_t(c.shared));
  const int most = per * limit.multiprocessors;
  TD_CHECK(most >= 1, DeviceError, "wavenet_generate: a block of ", c.threads, " threads with ", c.shared,
           " bytes of shared memory does not run on ", to_string(a.device));
  if (c.blocks == 1) c.blocks = std::min({layers, most, 16});
  c.blocks = std::min(c.blocks, most);
  c.fixed = fits_fixed(a, c.blocks);
  c.groups = std::min(batch, most / c.blocks);
  TD_CHECK(least_shared(a, c) <= c.shared, DeviceError, "wavenet_generate: needs ", least_shared(a, c),
           " bytes of shared memory per block, and the device has ", c.shared);
  return c;
}

// blocks is 0 where the chain is not for this network, batch and device.
Choice choose_chain(const WaveNetGenerateArgs& a) {
  Choice c;
  c.shared = limits(a.device).shared_bytes;
  c.chain = static_cast<int>(a.table.sizes[1]), c.threads = 6 * c.chain;
  int resident[kClusterSizes] = {};
  for (int i = 0; i < kClusterSizes; ++i)
    resident[i] =
        resident_clusters(a.device, chain_kernel(c.chain), 2u << i, c.threads, static_cast<std::size_t>(c.shared));
  c.blocks = c.cluster = chain_blocks(c.chain, static_cast<int>(a.layers.size()), a.batch, resident);
  if (c.blocks > 0 && chain_least_shared(a, c) > c.shared) c.blocks = 0;
  return c;
}

class Generator final : public StreamGenerator {
 public:
  Generator(const WaveNetGenerateArgs& a, const Choice& choice)
      : device_(a.device),
        patience_(a.patience),
        choice_(choice),
        built_(choice.chain ? build_chain(a, choice) : build(a, choice)) {
    const Network& n = built_.net;
    const auto keep = [&](const auto& v) { return upload(device_, v.data(), v.size() * sizeof(v[0])); };
    parts_ = std::make_unique<Scratch>(keep(built_.parts));
    layers_ = std::make_unique<Scratch>(keep(built_.layers));
    weights_ = std::make_unique<Scratch>(keep(built_.weights));
    table_ = std::make_unique<Scratch>(keep(built_.table));
    state_ = std::make_unique<Scratch>(device_, bytes_of(built_.state));
    logits_ = std::make_unique<Scratch>(device_, bytes_of(std::int64_t{n.batch} * n.classes));
    if (n.cluster == 0) {
      mail_bytes_ = std::size_t(n.groups) * n.blocks * n.streams * n.mail.total * sizeof(Message);
      mail_ = std::make_unique<Scratch>(device_, mail_bytes_);
      runtime(DeviceType::cuda).zero(device_.index, mail_->as<void>(), mail_bytes_);
    }
    chunk_ = std::clamp<std::int64_t>(65536 / n.batch, 1, 4096);
    io_ = std::make_unique<Scratch>(device_, io_bytes());
    host_.resize(static_cast<std::size_t>(chunk_ * n.batch + 1));
    built_.weights = {}, built_.table = {};
    how_ = std::to_string(n.groups) + (n.cluster ? " clusters of " : " groups of ") + std::to_string(n.blocks) +
           " blocks, " + std::to_string(n.streams) + " streams each" +
           (built_.chain   ? ", a chain"
            : built_.fixed ? ", weights in registers"
                           : "");
    reset();
  }

  void reset() override {
    position_ = 0;
    const DeviceRuntime& cuda = runtime(DeviceType::cuda);
    cuda.zero(device_.index, state_->as<void>(), bytes_of(built_.state));
    cuda.zero(device_.index, logits_->as<void>(), bytes_of(std::int64_t{built_.net.batch} * built_.net.classes));
    const std::vector<float>& ahead = built_.ahead;
    if (!ahead.empty())
      cuda.copy(state_->as<float>() + built_.ahead_start, device_, ahead.data(), kCpu, ahead.size() * sizeof(float));
  }

  void run(std::int64_t steps, const std::int32_t* given, const float* uniforms, double temperature,
           std::int32_t* drawn) override {
    const std::int64_t batch = built_.net.batch;
    for (std::int64_t t = 0; t < steps; t += chunk_) {
      const std::int64_t n = std::min(chunk_, steps - t);
      launch_steps(n, given ? given + t * batch : nullptr, uniforms ? uniforms + t * batch : nullptr, temperature,
                   drawn ? drawn + t * batch : nullptr);
    }
  }
  void logits(float* to) override {
    download(device_, to, logits_->as<void>(), bytes_of(std::int64_t{built_.net.batch} * built_.net.classes));
  }
  std::size_t state_bytes() const override { return bytes_of(built_.state) + mail_bytes_; }
  const char* how() const override { return how_.c_str(); }

 private:
  static std::size_t bytes_of(std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); }
  // Drawn codes and the error behind them, then what is given, then uniforms.
  std::size_t io_bytes() const { return bytes_of(3 * chunk_ * built_.net.batch + 1); }

  void launch_steps(std::int64_t steps, const std::int32_t* given, const float* uniforms, double temperature,
                    std::int32_t* drawn) {
    const Network& n = built_.net;
    const std::int64_t count = steps * n.batch;
    const DeviceRuntime& cuda = runtime(DeviceType::cuda);
    std::int32_t* const io = io_->as<std::int32_t>();
    Run r{};
    r.net = n;
    r.parts = parts_->as<Part>(), r.layers = layers_->as<Layer>(), r.weights = weights_->as<float4>();
    r.table = table_->as<float>(), r.state = state_->as<float>(), r.logits = logits_->as<float>();
    r.mail = mail_ ? mail_->as<Message>() : nullptr;
    r.drawn = io, r.error = io + count;
    cuda.zero(device_.index, r.error, sizeof(std::int32_t));
    if (given) {
      std::int32_t* const to = io + chunk_ * n.batch + 1;
      cuda.copy(to, device_, given, kCpu, bytes_of(count));
      r.given = to;
    }
    if (uniforms) {
      float* const to = reinterpret_cast<float*>(io + 2 * chunk_ * n.batch + 1);
      cuda.copy(to, device_, uniforms, kCpu, bytes_of(count));
      r.uniforms = to;
    }
    r.temperature = static_cast<float>(temperature), r.steps = static_cast<int>(steps);
    if (tag_ > 0xffffffffu - static_cast<unsigned>(steps)) tag_ = 1;  // 0 is what lies in a mailbox at first
    r.tag = tag_, r.position = position_,
    r.patience = static_cast<int>(std::clamp<std::int64_t>(patience_, 0, 1 << 30));
    tag_ += static_cast<unsigned>(steps), position_ += static_cast<unsigned long long>(steps);
    Launch l;
    l.grid[0] = static_cast<unsigned>(n.groups * n.blocks), l.block[0] = static_cast<unsigned>(n.threads);
    l.shared = static_cast<unsigned>(n.room.total);
    l.cooperative = n.cluster == 0, l.cluster = static_cast<unsigned>(n.cluster);
    launch(device_, l, built_.chain ? chain_kernel(built_.chain) : kernel_of(built_.fixed), r);
    download(device_, host_.data(), io, bytes_of(count + 1));
    TD_CHECK(host_[static_cast<std::size_t>(count)] == 0, DeviceError, "wavenet_generate: a block of ", how_,
             " waited in vain for another one for ", patience_, " looks; reset() and try again, or use --device cpu");
    if (drawn) std::copy_n(host_.begin(), count, drawn);
  }

  Device device_;
  std::int64_t patience_, chunk_ = 1;
  Choice choice_;
  Built built_;
  std::string how_;
  std::unique_ptr<Scratch> parts_, layers_, weights_, table_, state_, logits_, mail_, io_;
  std::size_t mail_bytes_ = 0;
  std::vector<std::int32_t> host_;
  unsigned tag_ = 1;
  unsigned long long position_ = 0;
};

void make(const WaveNetGenerateArgs& a) { *a.made = std::make_unique<Generator>(a, choose(a, true)); }
void make_global(const WaveNetGenerateArgs& a) { *a.made = std::make_unique<Generator>(a, choose(a, false)); }
void make_chain(const WaveNetGenerateArgs& a) { *a.made = std::make_unique<Generator>(a, choose_chain(a)); }
const char* chain_refuses(const WaveNetGenerateArgs& a) {
  if (const char* const why = refuses(a)) return why;
  if (const char* const why = refuses_chain(a)) return why;
  return choose_chain(a).blocks > 0 ? nullptr : "the device has no cluster of blocks for each stream";
}

}  // namespace
}  // namespace wavenet

void add_wavenet() {
  wavenet_generate.add(DeviceType::cuda, "chain", wavenet::make_chain, wavenet::chain_refuses);
  wavenet_generate.add(DeviceType::cuda, "persistent", wavenet::make, wavenet::refuses);
  wavenet_generate.add(DeviceType::cuda, "global", wavenet::make_global, wavenet::refuses);  // mailboxes there
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
