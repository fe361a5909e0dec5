// What the commands of the command line share. Each command is one file: it declares its options on the CLI::App and
// sets `run` to what is to be done when it was chosen.
#pragma once
#include <fmt/format.h>
#include <tapedeck/io/node.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/train/trained.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace tapedeck::tools {

using Run = std::function<int()>;  // gives the exit code

void add_new(CLI::App& app, Run& run);
void add_train(CLI::App& app, Run& run);
void add_generate(CLI::App& app, Run& run);
void add_eval(CLI::App& app, Run& run);
void add_export(CLI::App& app, Run& run);
void add_info(CLI::App& app, Run& run);
void add_describe(CLI::App& app, Run& run);
void add_data(CLI::App& app, Run& run);
void add_doctor(CLI::App& app, Run& run);
void add_bench(CLI::App& app, Run& run);

// Declares a command; `examples` end its help.
template <class Options>
std::pair<CLI::App*, std::shared_ptr<Options>> command(CLI::App& app, Run& run, const std::string& name,
                                                       const std::string& help, const std::string& examples,
                                                       int (*body)(const Options&)) {
  CLI::App* sub = app.add_subcommand(name, help);
  auto options = std::make_shared<Options>();
  sub->footer("Examples:\n" + examples);
  sub->callback([&run, options, body] { run = [options, body] { return body(*options); }; });
  return {sub, options};
}

// --threads and --device.
struct Machine {
  int threads = 0;
  std::string device = "cpu";
  void add_to(CLI::App& command);
  Device apply() const;  // sets the threads; DeviceError when the device is not there
};

// RUN and --checkpoint.
struct Network {
  std::string run, checkpoint = "latest";
  void add_to(CLI::App& command);
  train::Trained load(Device device = kCpu) const;  // there; and tells people what was skipped
};

// Runs the body of a command; when memory runs out, the MemoryError ends with `advice`: what to make smaller.
int with_memory_advice(const std::string& advice, FunctionRef<int()> body);

// What an option takes: a number of that range (never NaN), a whole number of 64 bits from 0, a path (that is not
// empty).
CLI::Validator between(double low, double high);
CLI::Validator seed_number();
CLI::Validator path();

// Results go to stdout, text for people to stderr.
template <class... A>
void result(fmt::format_string<A...> format, A&&... args) {
  fmt::print(stdout, format, std::forward<A>(args)...);
}
template <class... A>
void note(fmt::format_string<A...> format, A&&... args) {
  std::fputs(fmt::format(format, std::forward<A>(args)...).c_str(), stderr);
  std::fputc('\n', stderr);
}
void result_json(const io::Node& node);

// The one place where failures become exit codes and sentences.
int exit_code_of(const std::exception& error);

}  // namespace tapedeck::tools
