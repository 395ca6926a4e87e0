// Who may look into a container: one thread at a time. A heap has a few locks, and a container's is
// chosen by where it lies, so that a container has no word that reading it would change: pages of
// containers stay shared between forked processes, and saved files hold no lock.
//
// A lock is taken before a processor is, and nobody waits for one while holding a processor: who
// holds the lock may have to wait for the world. No thread holds two of them. In a forked child all
// are free: a thread that held one at the fork was between two steps of its work, each of which
// leaves the container whole, and does not exist there.
#pragma once

#include "engine/frontends/collected/reference.h"
#include "engine/platform/lock.h"

namespace tri::collected {

class ContainerLocks {
 public:
  platform::Lock& of(Reference container) {
    // Neighbours get different locks: containers are often made one after another.
    return locks_[folded(container) * kMultiplier >> (32 - kShift)].lock;
  }
  void reset_after_fork() {
    for (Padded& one : locks_) one.lock.reset_after_fork();
  }

 private:
  // Of 64 threads at work on as many containers, about a third shares a lock with another.
  static constexpr unsigned kShift = 6;
  static constexpr uint32_t kMultiplier = 0x9e3779b1;
  struct alignas(64) Padded {
    // The lowest rank: an allocation under it may take any other lock.
    platform::Lock lock{platform::Rank::kControl};
  };
  Padded locks_[1u << kShift];
};

}  // namespace tri::collected
