// Reserve: memory of a device for a step that runs again and again (replay.h). Private to tensor/.
#pragma once
#include <tapedeck/tensor/storage.h>

#include <map>
#include <unordered_map>

namespace tapedeck::detail {

// While one is open, what this thread frees on its device stays in it and serves the next requests of the thread for
// as many bytes. A request that it cannot serve goes to the cache, or is a DeviceError when it is strict. What it keeps
// goes to the cache when it ends.
class Reserve {
 public:
  explicit Reserve(Device device) : device_(device) {}
  Reserve(const Reserve&) = delete;
  ~Reserve();
  class Open {
   public:
    explicit Open(Reserve& r);
    Open(const Open&) = delete;
    ~Open();

   private:
    Reserve* before_;
  };
  void strict(bool on) { strict_ = on; }
  std::size_t out() const { return out_.size(); }  // blocks that it gave and that did not come back

 private:
  friend void* cached_allocate(std::size_t, Device, std::size_t*);
  friend void cached_release(void*, std::size_t, Device);
  struct Block {
    void* p;
    std::size_t capacity;
  };
  void* take(std::size_t wanted, std::size_t* capacity);
  void put(void* p, std::size_t capacity);
  Device device_;
  bool strict_ = false;
  std::multimap<std::size_t, Block> spare_;     // by what was asked for
  std::unordered_map<void*, std::size_t> out_;  // what was asked for
};

}  // namespace tapedeck::detail
