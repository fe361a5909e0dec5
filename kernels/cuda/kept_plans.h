// What a vendor's library prepares for a kind of work, kept for the next work of that kind.
#pragma once
#include <cstddef>
#include <list>
#include <map>
#include <utility>

namespace tapedeck::kernels {

// At most `most` plans, besides those that are pinned. Not for several threads at once.
template <class Key, class Plan>
class KeptPlans {
 public:
  explicit KeptPlans(std::size_t most) : most_(most) {}

  // The plan of this kind, made by make() when there is none yet. Before that, when there are `most`, the one that was
  // used longest ago is given to drop() and ends. Pinned: what refers to the plan lives on (a recorded step), so that
  // it stays for good, and no other goes now either.
  template <class Make, class Drop>
  Plan& get(const Key& key, bool pinned, Make&& make, Drop&& drop) {
    auto at = by_key_.find(key);
    if (at == by_key_.end()) {
      while (!pinned && loose_.size() >= most_) {
        drop(loose_.back().plan);
        by_key_.erase(loose_.back().key);
        loose_.pop_back();
      }
      loose_.push_front({key, make()});
      at = by_key_.emplace(key, Place{loose_.begin(), false}).first;
    }
    Place& place = at->second;
    if (!place.pinned) {
      place.pinned = pinned;
      (pinned ? pinned_ : loose_).splice((pinned ? pinned_ : loose_).begin(), loose_, place.entry);
    }
    return place.entry->plan;
  }
  std::size_t size() const { return by_key_.size(); }

 private:
  struct Entry {
    Key key;
    Plan plan;
  };
  using Entries = std::list<Entry>;
  struct Place {
    typename Entries::iterator entry;
    bool pinned;
  };
  std::size_t most_;
  Entries loose_, pinned_;  // the last used first
  std::map<Key, Place> by_key_;
};

}  // namespace tapedeck::kernels
