#include <dlfcn.h>
#include <tapedeck/kernels/plugin.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/parallel.h>

namespace tapedeck::kernels {
namespace {

class OwnRegistry final : public Registry {
 public:
  void* workspace(std::size_t bytes) override { return kernels::workspace(bytes); }

 private:
  void add_any(const char* slot, std::uint64_t stamp, const char* variant, AnyFn fn, AnyFn supports,
               const char* note) override {
    kernels::slot(slot).add_stamped(stamp, variant, fn, supports, note);
  }
  void run(std::int64_t n, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t), void* f) override {
    tapedeck::parallel_for(n, grain, [=](std::int64_t begin, std::int64_t end) { body(f, begin, end); });
  }
};

std::string last_error() {
  const char* text = dlerror();
  return text ? text : "no reason given";
}

}  // namespace

void load_plugin(const std::string& file) {
  const std::string path = file.find('/') == std::string::npos ? "./" + file : file;
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  TD_CHECK(library, ValueError, "plug-in ", file, ": cannot be loaded: ", last_error());
  const auto abi = reinterpret_cast<int (*)()>(dlsym(library, "tapedeck_plugin_abi"));
  const auto start = reinterpret_cast<void (*)(Registry&)>(dlsym(library, "tapedeck_plugin"));
  TD_CHECK(abi && start, ValueError, "plug-in ", file, ": exports no ", abi ? "tapedeck_plugin" : "tapedeck_plugin_abi",
           "; define both with TAPEDECK_PLUGIN of tapedeck/kernels/plugin.h");
  TD_CHECK(abi() == kPluginAbi, ValueError, "plug-in ", file, ": made for plug-in ABI ", abi(), ", this program has ",
           kPluginAbi, "; compile it again with this version's headers");
  static OwnRegistry registry;
  start(registry);  // never unloaded: its functions and texts are in the slots now
}

}  // namespace tapedeck::kernels
