#include <tapedeck/autograd/recording.h>
#include <tapedeck/autograd/saved.h>

namespace tapedeck {

Saved save(const Tensor& x, const char* name) {
  Saved s;
  s.tensor_ = x;
  s.name_ = name;
  if (x.defined()) {
    s.version_ = x.version();
    detail::note.saved_bytes += x.impl()->storage->bytes();
  }
  return s;
}

const Tensor& Saved::get() const {
  TD_CHECK(!tensor_.defined() || tensor_.version() == version_, TapeError, detail::running_rule, ": saved input ",
           name_, " was modified in place (version ", version_, " -> ", tensor_.version(),
           "); run backward before writing to it", arg(name_, tensor_));
  return tensor_;
}

}  // namespace tapedeck
