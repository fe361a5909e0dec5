#include <tapedeck/tensor/cores.h>

#ifdef __linux__
#include <sched.h>
#endif

namespace tapedeck {

#ifdef __linux__
int this_core() { return sched_getcpu(); }

void leave_core(int core) {
  if (core < 0 || core >= CPU_SETSIZE || this_core() != core) return;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
  cpu_set_t others = allowed;
  CPU_CLR(static_cast<unsigned>(core), &others);
  if (sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
int this_core() { return -1; }
void leave_core(int) {}
#endif

}  // namespace tapedeck
