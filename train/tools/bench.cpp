// tapedeck bench: the benchmark suite, a program of its own beside this one.
#include <tapedeck/io/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "command.h"

namespace tapedeck::tools {
namespace {

struct Options {
  std::string filter, json;
  bool force = false, quick = false;
};

int bench(const Options& o) {
  const std::string program =
      (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "tapedeck-bench").string();
  TD_CHECK(::access(program.c_str(), X_OK) == 0, IoError, "bench: there is no program ", io::printable(program),
           "; build it with -DTAPEDECK_BENCH=ON");
  std::vector<std::string> words{program};
  if (!o.filter.empty()) words.insert(words.end(), {"--filter", o.filter});
  if (!o.json.empty()) words.insert(words.end(), {"--json", o.json});
  if (o.force) words.emplace_back("--force");
  if (o.quick) words.emplace_back("--quick");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execv(program.c_str(), arguments.data());
  TD_FAIL(IoError, "bench: ", io::printable(program), ": ", std::strerror(errno));
}

}  // namespace

void add_bench(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(app, run, "bench", "How fast this machine is, beside what it could do",
                                   "  tapedeck bench --quick\n"
                                   "  tapedeck bench --filter 'wavenet|stft' --json after.json\n",
                                   bench);
  sub->add_option("--filter", o->filter, "rows whose name fits this regular expression");
  sub->add_option("--json", o->json, "also write all measurements to this file")->check(path());
  sub->add_flag("--force", o->force, "overwrite the file");
  sub->add_flag("--quick", o->quick, "each row once and briefly");
}

}  // namespace tapedeck::tools
