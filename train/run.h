// A training run from its first step to its last, or to a signal: steps, validation, metrics, checkpoints, sounds.
#pragma once
#include <tapedeck/train/progress.h>
#include <tapedeck/train/run_folder.h>
#include <tapedeck/train/trainer.h>

namespace tapedeck::train {

enum class Ending { finished, out_of_time, interrupted, not_finite };

struct RunResult {
  Ending ending = Ending::finished;
  int signal = 0;       // interrupted: by which one
  std::string problem;  // not_finite: the sentence
  std::int64_t step = 0, bad_steps = 0;
  Score score;  // of all held-out recordings; finished and out_of_time only
  double seconds = 0;
};

// Goes on from the newest checkpoint of the folder that verifies (or from the start) until train.max_steps,
// train.max_minutes or a signal (StopSignals), and saves; the folder's config.json becomes the trainer's. ConfigError
// when that run is beyond train.max_steps already. Results are the same bits as without a stop. FormatError when there
// were checkpoints and none verifies; IoError when the last one cannot be written (earlier ones are tried again at the
// next interval). A checkpoint or last score that is not finite ends it as not_finite.
RunResult run_training(RunFolder& folder, Trainer& trainer, Progress::Style style = Progress::Style::automatic);

}  // namespace tapedeck::train
