// tapedeck export: the weights of a run as a file for other programs.
#include <tapedeck/io/file.h>
#include <tapedeck/io/weights.h>

#include <filesystem>

#include "command.h"

namespace tapedeck::tools {
namespace {

struct Options {
  Network network;
  std::string format, output;
  bool force = false, json = false;
};

io::WeightFormat format_of(const Options& o) {
  const std::string end = std::filesystem::path(o.output).extension().string();
  const std::string format = !o.format.empty() ? o.format : end == ".pt" ? "pth" : end.empty() ? end : end.substr(1);
  for (const auto known : {io::WeightFormat::safetensors, io::WeightFormat::pth, io::WeightFormat::npz})
    if (format == io::name(known)) return known;
  TD_FAIL(ConfigError, "-o ", io::printable(o.output),
          ": name the format with --format safetensors, pth or npz, or end the file's name so");
}

int export_weights(const Options& o) {
  const io::WeightFormat format = format_of(o);
  if (!o.force) io::refuse_existing(o.output);
  const train::Trained t = o.network.load();
  const std::vector<io::NamedTensor> tensors = train::to_safetensors(t.network->state_dict()).tensors;
  io::write_weights(o.output, tensors, format, o.force);
  std::int64_t elements = 0;
  for (const io::NamedTensor& tensor : tensors) elements += tensor.tensor.numel();
  if (o.json) {
    result_json(io::Node::object({{"file", io::printable(o.output)},
                                  {"format", io::name(format)},
                                  {"tensors", tensors.size()},
                                  {"elements", elements},
                                  {"checkpoint", io::printable(t.checkpoint)},
                                  {"step", t.step}}));
    return 0;
  }
  result("{}: {} tensors, {} elements, of step {}\n", io::printable(o.output), tensors.size(), elements, t.step);
  return 0;
}

}  // namespace

void add_export(CLI::App& app, Run& run) {
  auto [sub, o] =
      command<Options>(app, run, "export", "Write the weights of a run for other programs",
                       "  tapedeck export RUN -o weights.safetensors\n"
                       "  tapedeck export RUN --checkpoint best --format pth -o weights.pth\n"
                       "PyTorch opens a .pth with torch.load(FILE, weights_only=True), NumPy an .npz with "
                       "numpy.load(FILE). A network of\n"
                       "the same architecture takes them by name, and tapedeck train --init FILE takes them back.",
                       export_weights);
  o->network.add_to(*sub);
  sub->add_option("--format", o->format, "safetensors, pth or npz (default: what the file's name ends with)")
      ->check(CLI::IsMember({"safetensors", "pth", "npz"}));
  sub->add_option("-o,--output", o->output, "file")->required()->check(path());
  sub->add_flag("--force", o->force, "overwrite");
  sub->add_flag("--json", o->json, "the result for machines");
}

}  // namespace tapedeck::tools
