// Every pool of the process, for the background thread and for fork.
//
// The list's lock comes before the pools' own and is held while a pool is looked at, so that none
// is destroyed meanwhile.
#pragma once

#include <atomic>

#include "engine/base/list.h"
#include "engine/frontends/pools/block_pool.h"
#include "engine/platform/lock.h"

namespace tri::pools {

class Pools {
 public:
  constexpr Pools() = default;
  void add(BlockPool* pool);
  void remove(BlockPool* pool);

  // Gives back what was not used since the last look. Returns whether something is left to look at.
  bool look();
  bool hold_something() const { return hint_.load(std::memory_order_relaxed); }
  void note_idle() { hint_.store(true, std::memory_order_relaxed); }

  // Fork: the caller's thread is the only one left in the child.
  void lock_all();
  void unlock_all();
  void reset_in_child();

 private:
  platform::Lock lock_{platform::Rank::kPools};
  List<BlockPool> pools_;
  std::atomic<bool> hint_{false};
};

extern constinit Pools g_pools;

}  // namespace tri::pools
