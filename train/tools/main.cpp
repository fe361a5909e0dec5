// tapedeck: the command line.
#include <fcntl.h>
#include <signal.h>
#include <tapedeck/io/config.h>
#include <tapedeck/io/file.h>
#include <tapedeck/train/version.h>

#include <cerrno>
#include <new>

#include "command.h"

namespace tapedeck::tools {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 ok; 1 the run failed (also disk full, no permission, loss not finite); 2 usage or config (also\n"
    "refused overwrite, locked run); 3 data; 4 checkpoint or file format; 5 device or memory; 129 after SIGHUP, 130\n"
    "after SIGINT and 143 after SIGTERM, train having saved (130 after a second SIGINT: at once).";

constexpr const char* kExamples =
    "Examples:\n"
    "  tapedeck new wavenet --preset small -o cfg.json\n"
    "  tapedeck train cfg.json --data SOUNDS --out RUN\n"
    "  tapedeck generate RUN --seconds 5 -o out/\n\n";

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

std::string meant(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string near = io::nearest(word, candidates);
  return near.empty() ? "" : "; did you mean \"" + near + "\"?";
}

// The sentence for a command line that does not parse. `app` is the command that was reached.
std::string usage_problem(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> extra = app.remaining();
  if (extra.empty() || dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr) return error.what();
  const std::string& word = extra.front();
  if (!word.starts_with("-")) {
    const auto names = command_names(app);
    if (names.empty()) return "\"" + io::printable(word) + "\" is one argument too many";
    return "no command \"" + io::printable(word) + "\"" + meant(word, names);
  }
  std::vector<std::string> options;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  return "no option \"" + io::printable(word) + "\"" + meant(word.substr(0, word.find('=')), options);
}

// The innermost command that the command line named.
const CLI::App* reached(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? &app : reached(*chosen.front());
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() ? full_name(*app.get_parent()) + " " + app.get_name() : app.get_name();
}

int fail(const std::string& message, int code) {
  std::fputs(fmt::format("error: {}\n", message).c_str(), stderr);
  return code;
}

int parse_and_run(int argc, char** argv) {
  CLI::App app("Train networks on recordings and generate sound with them.", "tapedeck");
  app.set_version_flag("--version",
                       [] { return fmt::format("tapedeck {}\ncompiler {}", full_version(), __VERSION__); });
  app.footer(std::string(kExamples) + kExitCodes);
  app.failure_message(CLI::FailureMessage::simple);
  Run run;
  add_new(app, run);
  add_train(app, run);
  add_generate(app, run);
  add_eval(app, run);
  add_export(app, run);
  add_info(app, run);
  add_describe(app, run);
  add_data(app, run);
  add_doctor(app, run);
  add_bench(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success, std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    const CLI::App& at = *reached(app);
    return fail(fmt::format("{}; see {} --help", usage_problem(at, error), full_name(at)), 2);
  }
  if (!run) {
    const CLI::App& at = *reached(app);
    std::fputs(fmt::format("{}", at.help()).c_str(), stderr);
    return fail(fmt::format("{}: name a command", full_name(at)), 2);
  }
  return run();
}

// A closed standard stream must not become the number of a file that we open: messages would be written into it. What
// stands there instead cannot be written to, as a closed one.
void occupy_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) < 0) return;
  }
}

int run_main(int argc, char** argv) {
  occupy_standard_streams();
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error of the write, not the end of the process
  int code;
  try {
    code = parse_and_run(argc, argv);
  } catch (const std::bad_alloc&) {
    code = fail("out of memory; use fewer or smaller files", 5);
  } catch (const std::exception& error) {
    code = fail(error.what(), exit_code_of(error));
  }
  std::cout.flush();
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) || !std::cout) && code == 0) {
    return errno == EPIPE ? 1 : fail("standard output: cannot be written to", 1);
  }
  return code;
}

}  // namespace
}  // namespace tapedeck::tools

int main(int argc, char** argv) { return tapedeck::tools::run_main(argc, argv); }
