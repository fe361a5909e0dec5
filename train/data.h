// The recordings of a run, read as its config says.
#pragma once
#include <tapedeck/io/dataset.h>
#include <tapedeck/nn/network.h>
#include <tapedeck/train/run_config.h>

#include <string>

namespace tapedeck::train {

// What `source` names, resampled to the run's rate and split as config.io says; files shorter than one window (context
// and train.segment) are skipped. `tell`: one line about them on stderr, and one for each skipped file. DataError when
// nothing is left. A relative source is remembered as an absolute one.
io::SoundSet read_sounds(const std::string& source, const RunConfig& config, const nn::Network& network, bool tell);

// The recordings that a run remembers (SoundSet::manifest): where they were, or in `moved_to` unless that is empty.
io::SoundSet read_sounds_again(const io::Node& saved, const std::string& moved_to, const RunConfig& config,
                               const nn::Network& network, bool tell);

}  // namespace tapedeck::train
