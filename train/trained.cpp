#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/weights.h>
#include <tapedeck/nn/weights.h>
#include <tapedeck/train/trained.h>

#include <filesystem>

namespace tapedeck::train {

namespace fs = std::filesystem;

nn::StateDict to_state(const io::SafeTensors& file) {
  nn::StateDict state;
  for (const io::NamedTensor& t : file.tensors) state.push_back({t.name, t.tensor});
  return state;
}

io::SafeTensors to_safetensors(const nn::StateDict& state) {
  io::SafeTensors file;
  for (const nn::NamedTensor& t : state) file.tensors.push_back({t.path, t.tensor});
  return file;
}

io::Node read_state(const std::string& path) { return io::read_json(path, {.bytes = 256 << 20, .values = 20'000'000}); }

RunConfig read_run_config(const std::string& path) {
  register_all();
  try {
    return io::load<RunConfig>(read_state(path), path);
  } catch (const ConfigError& error) {
    throw FormatError(error.what());  // a file of ours that is not as we write it
  }
}

std::string checkpoint_of(const std::string& path, Which which, std::vector<std::string>& notes) {
  std::error_code ignored;
  if (fs::is_regular_file(path + "/model.safetensors", ignored)) return path;
  const std::string checkpoints = path + "/checkpoints";
  if (!fs::is_directory(checkpoints, ignored)) return "";
  if (which == Which::best) {
    if (std::string best = io::best_checkpoint(checkpoints); !best.empty()) return best;
    notes.push_back("no best checkpoint is marked yet: the latest is taken");
  }
  io::FoundCheckpoint found = io::find_checkpoint(checkpoints, false);
  notes.insert(notes.end(), found.notes.begin(), found.notes.end());
  return found.folder;
}

std::vector<std::string> load_weights(nn::Module& network, const std::string& path, const nn::LoadOptions& options,
                                      const std::optional<std::string>& prefix) {
  std::vector<std::string> notes;
  std::error_code ignored;
  std::string file = path;
  if (fs::is_directory(path, ignored)) {
    const std::string folder = checkpoint_of(path, Which::latest, notes);
    TD_CHECK(!folder.empty(), FormatError, io::printable(path), ": holds no checkpoint");
    io::verify_checkpoint(folder);
    file = folder + "/model.safetensors";
  }
  TD_CHECK(fs::is_regular_file(file, ignored), FormatError, io::printable(file),
           ": there is no such run, checkpoint or file of weights");
  try {
    const nn::FoundState found = nn::find_state(network, io::read_weights(file), prefix);
    std::string wild;
    for (const nn::NamedTensor& t : found.state) {
      if (!io::all_finite(t.tensor)) wild += (wild.empty() ? "" : ", ") + io::printable(t.path);
    }
    TD_CHECK(wild.empty(), FormatError, io::printable(file), ": holds values that are not finite, in ", wild,
             "; take weights from before they were spoilt");
    network.load_state(found.state, options);
    if (!found.prefix.empty()) notes.push_back("taken are the names that begin with \"" + found.prefix + "\"");
    if (!found.beside.empty())
      notes.push_back("left out: " + std::to_string(found.beside.size()) + " others, such as \"" +
                      found.beside.front() + "\"");
    if (found.folded) notes.push_back("weight norm is folded into plain weights");
  } catch (const FormatError& error) {
    const std::string text = error.what(), shown = io::printable(file);
    throw FormatError(text.starts_with(shown) ? text : shown + ": " + text);
  }
  for (std::string& text : notes) text = io::printable(file) + ": " + io::printable(text);
  return notes;
}

Trained load_trained(const std::string& path, Which which) {
  Trained t;
  t.checkpoint = checkpoint_of(path, which, t.notes);
  std::error_code ignored;
  TD_CHECK(!t.checkpoint.empty(), FormatError, io::printable(path),
           fs::exists(path, ignored) ? ": holds no checkpoint that can be used; a run folder has checkpoints/step-N"
                                     : ": there is no such run or checkpoint folder");
  io::verify_checkpoint(t.checkpoint);
  t.config = read_run_config(t.checkpoint + "/config.json");
  t.step = read_state(t.checkpoint + "/trainer_state.json").at("step").integer();
  t.network = build_network(t.config);
  load_weights(*t.network, t.checkpoint, {});
  t.network->eval();
  const io::SafeTensors starts = io::read_safetensors(t.checkpoint + "/starts.safetensors");
  TD_CHECK(starts.tensors.size() == 1 && starts.tensors[0].tensor.dtype() == DType::i64 &&
               starts.tensors[0].tensor.dim() == 2 && starts.tensors[0].tensor.numel() > 0,
           FormatError, io::printable(t.checkpoint), "/starts.safetensors: must hold one i64 tensor [k, n]");
  t.starts = starts.tensors[0].tensor;
  return t;
}

}  // namespace tapedeck::train
