// parallel_for on our own thread pool. Chunks depend on n and grain only, so results do not depend on the threads.
#pragma once
#include <cstdint>
#include <functional>
#include <type_traits>

namespace tapedeck {

// A borrowed callable: valid while the callee it was made from lives.
template <class Signature>
class FunctionRef;
template <class R, class... A>
class FunctionRef<R(A...)> {
 public:
  template <class F, class = std::enable_if_t<!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>>>
  FunctionRef(F&& f)
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* o, A... a) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(o))(static_cast<A>(a)...);
        }) {}
  R operator()(A... a) const { return call_(object_, static_cast<A>(a)...); }

 private:
  void* object_;
  R (*call_)(void*, A...);
};

// Runs body(begin, end) over [0, n) in chunks of `grain` (the last may be shorter), on all threads of the pool.
// Nested calls run inline. The exception of the lowest failing chunk is rethrown after all chunks ended.
void parallel_for(std::int64_t n, std::int64_t grain, FunctionRef<void(std::int64_t, std::int64_t)> body);

int num_threads();            // TAPEDECK_THREADS, else the number of cores
void set_num_threads(int n);  // 1 to 256; waits for a running parallel_for; ValueError inside of one

// A host application's threads instead of ours: it calls task(i) once for each i < n, on any threads at once or one
// after another, and returns when all of them have. Tasks do not throw; they share the chunks of one parallel_for among
// themselves, so results are the same with every executor. An empty one brings our own pool back. Waits and refuses as
// set_num_threads.
using Executor = std::function<void(int n, FunctionRef<void(int)> task)>;
void set_executor(Executor executor);

}  // namespace tapedeck
