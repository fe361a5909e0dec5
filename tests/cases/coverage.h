// What a run of the table has called: every slot, variant and dtype, every function of ops.h.
#pragma once
#include <tapedeck/kernels/slot.h>

#include <set>
#include <string>
#include <vector>

#include "cases/op_case.h"

namespace tapedeck::cases {

// A few cases for every slot and dtype that called it: what a variant that no case chose is forced to run on.
class Callers {
 public:
  Callers();
  void note(const OpCase& c);  // c has just run
  const std::vector<const OpCase*>& of(std::size_t slot, DType t) const;

 private:
  struct Entry {
    std::uint64_t calls = 0;
    std::vector<const OpCase*> cases;
  };
  std::vector<Entry> entries_;  // slot by slot: f32, f64
};

// How many slots, variants and functions were never called. A variant that no case chose is forced on cases of its
// slot: it must give right results or refuse. `table`: prints what was called how often.
int coverage(const Callers& callers, const std::set<std::string>& ops_run, bool table);

void print_support();  // each slot's variants and the dtypes that they were called with

// The same as a Markdown table of slots that agree. check_matrix compares it with what stands between the lines
// `<!-- support matrix -->` and `<!-- end -->` of a file and says how they differ; write_matrix puts it there.
std::string support_matrix();
bool check_matrix(const std::string& file);
bool write_matrix(const std::string& file);

// The ops that the library promises, and how many cases each must have: 100 for ops that compute, 60 for ops that
// move, select or compare. Returns how many ops fall short, having printed them.
int missing_ops();

}  // namespace tapedeck::cases
