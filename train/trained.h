// A trained network from its files: a run folder, or one checkpoint folder alone.
#pragma once
#include <tapedeck/io/safetensors.h>
#include <tapedeck/nn/network.h>
#include <tapedeck/train/run_config.h>

#include <optional>
#include <string>
#include <vector>

namespace tapedeck::train {

struct Trained {
  RunConfig config;
  nn::Part<nn::Network> network;  // in eval mode
  Tensor starts;                  // excerpts to start from, i64 [k, n]
  std::string checkpoint;         // its folder
  std::int64_t step = 0;
  std::vector<std::string> notes;  // for people: what was skipped
};

enum class Which { latest, best };

// `path` is a run folder or a checkpoint folder. FormatError when there is no checkpoint, one that no longer matches
// its manifest, or weights that do not fit the config (every name); nothing in the folder is changed.
Trained load_trained(const std::string& path, Which which = Which::latest);

// The weights of a run, a checkpoint or a file (.safetensors, .pth, .npz; in checkpoints of other programs below any
// prefix, see nn/weights.h), loaded into a network. Returns what people should know of it. FormatError as above, and
// when one is not finite.
std::vector<std::string> load_weights(nn::Module& network, const std::string& path, const nn::LoadOptions& options,
                                      const std::optional<std::string>& prefix = {});

// The checkpoint folder that `path` stands for, "" when there is none.
std::string checkpoint_of(const std::string& path, Which which, std::vector<std::string>& notes);

nn::StateDict to_state(const io::SafeTensors& file);
io::SafeTensors to_safetensors(const nn::StateDict& state);

// The config of a run or checkpoint; FormatError when it is not as the program writes it.
RunConfig read_run_config(const std::string& path);

// A JSON file that the program wrote, with limits wide enough for it; FormatError and IoError name it.
io::Node read_state(const std::string& path);

}  // namespace tapedeck::train
