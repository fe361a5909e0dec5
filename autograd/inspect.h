// Looking at what ops and rules do: values that stop being finite, a trace over time, memory by op, the graph as text.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tapedeck {

class Tape;

// While on, the first op that makes a NaN or an infinity from finite inputs is a ValueError naming the op, the output,
// the shapes and the module; so is the first rule that makes one from a finite incoming gradient. It reads every
// tensor: slow. TAPEDECK_CHECK_FINITE=1 turns it on from the start.
void check_finite(bool on = true);

// Writes what happens from now on to `file`, for ui.perfetto.dev or chrome://tracing: ops, rules and kernels of every
// thread with shapes, bytes, floating-point operations (of contractions) and module paths, and the memory in use. ""
// completes the file, as the end of the program does; without that it can still be loaded. IoError when it cannot be
// written, and rather than replace a file that is no trace. TAPEDECK_TRACE=file starts one with the first op.
void trace_to(const std::string& file);

struct OpMemory {
  std::string op;                  // "conv1d"; "conv1d backward" for what its rule made
  std::uint64_t outputs = 0;       // blocks that it made
  std::int64_t live_bytes = 0;     // of those alive
  std::int64_t peak_bytes = 0;     // the most at any time
  std::int64_t bytes_at_peak = 0;  // when all ops together had the most
};
void track_memory(bool on = true);     // on: from now on, forgetting what came before
std::vector<OpMemory> memory_by_op();  // ordered by bytes_at_peak, then peak_bytes, then name
std::string memory_report();           // the same as a table for people

struct OpCost {
  std::string op;  // "conv1d"
  std::uint64_t calls = 0;
  double multiply_adds = 0;   // of contractions, recurrences and Fourier transforms (5/2 n log2 n, real: half)
  std::int64_t elements = 0;  // that it wrote; views write none
};
void count_ops(bool on = true);  // on: every op from now on, except those in rules; forgets what came before
std::vector<OpCost> op_costs();  // ordered by multiply_adds, then elements, then name

// The ops of a tape in the language of graphviz: `dot -Tsvg`. Nodes have module paths and the bytes that their rules
// keep; edges have shapes.
std::string to_dot(const Tape& tape);

namespace detail {
// The path of a module by its hash, for people ("" when unknown).
void name_module(std::uint64_t path_hash, std::string_view path);
std::string module_name(std::uint64_t path_hash);
}  // namespace detail

}  // namespace tapedeck
