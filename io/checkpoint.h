// Checkpoint folders. There is one way to save: everything is written to a temporary folder, synced, read back and
// checked, and only then renamed to step-N. Killed at any moment, a verified checkpoint can be found again.
//
//   CHECKPOINTS/step-N/       the files, and manifest.json with their sizes and checksums
//   CHECKPOINTS/LATEST, BEST  text files that name a folder; hints for people and tools
//   CHECKPOINTS/corrupt/      what no longer matched its manifest; moved there, never deleted
//   CHECKPOINTS/bad/          checkpoints with values that are not finite, for diagnosis
#pragma once
#include <tapedeck/io/safetensors.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace tapedeck::io {

struct CheckpointFile {
  std::string name;                                // plain file name, as "model.safetensors"
  std::variant<std::string, SafeTensors> content;  // text, or tensors
};

struct SaveOptions {
  std::int64_t keep_last = 3;  // older ones are deleted, except BEST; two verified ones always stay
  bool best = false;           // BEST names this checkpoint
};

struct SavedCheckpoint {
  std::string folder;              // where it is: CHECKPOINTS/step-N, or CHECKPOINTS/bad/step-N
  bool finite = true;              // false: it went to bad/, and LATEST, BEST and older checkpoints are as before
  std::int64_t bytes = 0;          // of all files
  std::vector<std::string> notes;  // one line each: what is not finite, what could not be deleted
};

// Saves the files as the checkpoint of a step (>= 0). IoError names the file and the system's reason, and leaves the
// older checkpoints as they were. A step-N that exists with the same content is left in place (saving again is no
// error); with other content it is a ValueError; when it no longer verifies it moves to corrupt/. One process at a time
// may save (RunLock).
SavedCheckpoint save_checkpoint(const std::string& checkpoints, std::int64_t step,
                                const std::vector<CheckpointFile>& files, const SaveOptions& options = {});

// Every difference between a checkpoint folder and its manifest, one line each; none when it is as it was saved. Files
// that the manifest does not name are nobody's business.
std::vector<std::string> checkpoint_problems(const std::string& folder);
void verify_checkpoint(const std::string& folder);  // FormatError with all of them

// The steps that have a folder, newest first.
std::vector<std::int64_t> checkpoint_steps(const std::string& checkpoints);

struct FoundCheckpoint {
  std::string folder;  // "" when there is none
  std::int64_t step = -1;
  std::vector<std::string> notes;  // one line each: what was skipped or moved, and why
};

// The newest checkpoint that verifies. FormatError when there were checkpoints but none verifies, naming each (IoError
// when one cannot be read): then nothing is changed. With `repair` (only for the process that holds the RunLock) torn
// ones move to corrupt/, temporary folders of dead processes are deleted, and LATEST names what was found.
FoundCheckpoint find_checkpoint(const std::string& checkpoints, bool repair);

// The folder that BEST names, "" when there is no BEST. FormatError when it names none that verifies (IoError when that
// cannot be read).
std::string best_checkpoint(const std::string& checkpoints);
// Makes BEST name this step, if its checkpoint is there and verifies: a process may have died before it wrote that. A
// BEST whose checkpoint was put aside goes.
void mark_best(const std::string& checkpoints, std::int64_t step);

}  // namespace tapedeck::io
