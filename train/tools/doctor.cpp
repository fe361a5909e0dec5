// tapedeck doctor: what this build and this machine are.
#include <tapedeck/kernels/isa.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/device.h>
#include <tapedeck/tensor/env.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/train/version.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "command.h"

namespace tapedeck::tools {
namespace {

struct Options {
  bool json = false;
};

std::string isa() {
  const std::string best = kernels::best_isa() == kernels::Isa::avx512 ? "avx512" : "avx2";
  return env("TAPEDECK_ISA").empty() ? best : best + " (TAPEDECK_ISA)";
}

// How many slots have a variant of each name.
std::map<std::string, std::int64_t> variants() {
  std::map<std::string, std::int64_t> count;
  for (const kernels::SlotBase* slot : kernels::all()) {
    for (int i = 0; i < slot->variant_count(DeviceType::cpu); ++i) ++count[slot->variant_name(DeviceType::cpu, i)];
  }
  return count;
}

// The GPUs, or why there is none.
std::string gpus() {
  try {
    const DeviceRuntime& cuda = runtime(DeviceType::cuda);
    return (cuda.count() == 0 ? std::string("no device: ") : "") + cuda.why_none();
  } catch (const DeviceError&) {
    return "this build has no CUDA kernels";
  }
}

int doctor(const Options& o) {
  const double page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  const double gib = page / (1 << 30);
  io::Node all = io::Node::object();
  all["version"] = version();
  all["commit"] = commit();
  all["compiler"] = __VERSION__;
  all["cores"] = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  all["threads"] = num_threads();
  all["instructions"] = isa();
  all["memory_gib"] = gib * static_cast<double>(::sysconf(_SC_PHYS_PAGES));
  all["free_memory_gib"] = gib * static_cast<double>(::sysconf(_SC_AVPHYS_PAGES));
  all["cuda_devices"] = device_count(DeviceType::cuda);
  all["cuda"] = gpus();
  all["kernel_slots"] = static_cast<std::int64_t>(kernels::all().size());
  io::Node names = io::Node::object();
  for (const auto& [name, count] : variants()) names[name] = count;
  all["kernel_variants"] = names;
  if (o.json) {
    result_json(all);
    return 0;
  }
  result("tapedeck       {}, {}\n", full_version(), __VERSION__);
  result("processor      {} cores, {} threads in use, {}\n", all.at("cores").integer(), num_threads(), isa());
  result("memory         {:.1f} GiB, {:.1f} GiB free\n", all.at("memory_gib").real(), all.at("free_memory_gib").real());
  result("cuda           {}\n", gpus());
  result("kernels        {} slots; variants:", kernels::all().size());
  for (const auto& [name, count] : variants()) result(" {} {}", name, count);
  result("\n");
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(app, run, "doctor", "What this build and this machine are",
                                   "  tapedeck doctor\n  tapedeck doctor --json", doctor);
  sub->add_flag("--json", o->json, "for machines");
}

}  // namespace tapedeck::tools
