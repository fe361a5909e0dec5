// Saves and finds checkpoints for crash_test.sh, which kills it at every system call.
//   save_loop DIR FIRST LAST KEEP   saves steps FIRST to LAST; every tensor of step N holds N
//   save_loop DIR                   prints the newest verified step and "whole" or "wrong", or "none"
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace tapedeck {
namespace {

std::string step_text(std::int64_t step) { return "{\"step\": " + std::to_string(step) + "}\n"; }

void save(const std::string& folder, std::int64_t step, std::int64_t keep) {
  io::SafeTensors model;
  model.tensors = {{"a.weight", full({40, 30}, static_cast<double>(step))},
                   {"b", full({7}, static_cast<double>(step))}};
  io::SafeTensors optimizer;
  optimizer.tensors = {{"a.weight.exp_avg", full({1200}, static_cast<double>(step), {DType::f64, kCpu})}};
  const auto saved = io::save_checkpoint(folder, step,
                                         {{"config.json", "{}\n"},
                                          {"model.safetensors", model},
                                          {"optimizer.safetensors", optimizer},
                                          {"trainer_state.json", step_text(step)}},
                                         {.keep_last = keep, .best = step % 2 == 0});
  for (const std::string& note : saved.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
}

bool whole(const io::FoundCheckpoint& found) {
  const auto model = io::read_safetensors(found.folder + "/model.safetensors");
  const auto values = model.find("a.weight")->to_vector<float>();
  return std::count(values.begin(), values.end(), static_cast<float>(found.step)) == std::ssize(values) &&
         io::read_text_file(found.folder + "/trainer_state.json", 100) == step_text(found.step);
}

}  // namespace
}  // namespace tapedeck

int main(int argc, char** argv) try {
  using namespace tapedeck;
  if (argc == 2) {
    const auto found = io::find_checkpoint(argv[1], true);
    for (const std::string& note : found.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
    if (found.folder.empty())
      std::puts("none");
    else
      std::printf("%lld %s\n", static_cast<long long>(found.step), whole(found) ? "whole" : "wrong");
    return 0;
  }
  if (argc != 5) return 2;
  ::access("/save-begins", F_OK);  // a mark in the trace
  for (std::int64_t step = std::atoll(argv[2]); step <= std::atoll(argv[3]); ++step) {
    save(argv[1], step, std::atoll(argv[4]));
  }
  return 0;
} catch (const tapedeck::Error& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return 1;
}
