#include "command.h"

#include <tapedeck/tensor/device.h>
#include <tapedeck/tensor/parallel.h>

#include <charconv>
#include <new>

namespace tapedeck::tools {

void Machine::add_to(CLI::App& command) {
  command.add_option("--threads", threads, "processor threads (default: all cores)")->check(CLI::Range(1, 256));
  command.add_option("--device", device, "cpu, or cuda:N in a build with CUDA")->capture_default_str();
}

Device Machine::apply() const {
  if (threads > 0) set_num_threads(threads);
  return parse_device(device);
}

void Network::add_to(CLI::App& command) {
  command.add_option("RUN", run, "run folder or checkpoint folder")->required()->check(path());
  command.add_option("--checkpoint", checkpoint, "latest or best")
      ->check(CLI::IsMember({"latest", "best"}))
      ->capture_default_str();
}

train::Trained Network::load(Device device) const {
  train::Trained t = train::load_trained(run, checkpoint == "best" ? train::Which::best : train::Which::latest);
  for (const std::string& text : t.notes) note("{}", text);
  if (device != kCpu) t.network->to(device, t.network->dtype());
  return t;
}

int with_memory_advice(const std::string& advice, FunctionRef<int()> body) {
  try {
    return body();
  } catch (const MemoryError& error) {
    throw MemoryError(std::string(error.what()) + "; " + advice);
  } catch (const std::bad_alloc&) {
    throw MemoryError("out of memory; " + advice);
  }
}

namespace {
template <class T>
bool parse(const std::string& text, T& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc() && end == text.data() + text.size();
}
}  // namespace

CLI::Validator between(double low, double high) {
  const std::string range = fmt::format("a number from {} to {}", low, high);
  return {[=](const std::string& text) {
            double value = 0;
            return parse(text, value) && value >= low && value <= high ? "" : "\"" + text + "\" is not " + range;
          },
          fmt::format("{} to {}", low, high)};
}

CLI::Validator seed_number() {
  return {[](const std::string& text) {
            std::int64_t value = 0;
            return parse(text, value) && value >= 0 ? "" : "\"" + text + "\" is not a whole number from 0 to 2^63 - 1";
          },
          "from 0"};
}

CLI::Validator path() {
  return {[](const std::string& text) { return text.empty() ? "the path is empty" : ""; }, ""};
}

void result_json(const io::Node& node) { result("{}\n", io::dump_json(node)); }

int exit_code_of(const std::exception& error) {
  const auto is = [&error]<class E>(const E*) { return dynamic_cast<const E*>(&error) != nullptr; };
  if (is((ConfigError*)nullptr) || is((ValueError*)nullptr)) return 2;
  if (is((DataError*)nullptr)) return 3;
  if (is((FormatError*)nullptr)) return 4;
  if (is((DeviceError*)nullptr) || is((MemoryError*)nullptr) || is((std::bad_alloc*)nullptr)) return 5;
  return 1;
}

}  // namespace tapedeck::tools
