#include "engine/frontends/pools/pools.h"

namespace tri::pools {

using platform::Guard;

constinit Pools g_pools;

void Pools::add(BlockPool* pool) {
  const Guard guard(lock_);
  pools_.push_back(pool);
}

void Pools::remove(BlockPool* pool) {
  const Guard guard(lock_);
  pools_.remove(pool);
}

bool Pools::look() {
  // A block that comes back during the look sets it again.
  if (!hint_.exchange(false)) return false;
  bool left = false;
  const Guard guard(lock_);
  for (BlockPool* pool = pools_.first(); pool != nullptr; pool = pool->next) {
    left = pool->look() || left;
  }
  if (left) note_idle();
  return left;
}

void Pools::lock_all() {
  lock_.acquire();
  for (BlockPool* pool = pools_.first(); pool != nullptr; pool = pool->next) pool->lock_shards();
  for (BlockPool* pool = pools_.first(); pool != nullptr; pool = pool->next) pool->lock_.acquire();
}

void Pools::unlock_all() {
  for (BlockPool* pool = pools_.first(); pool != nullptr; pool = pool->next) pool->lock_.release();
  for (BlockPool* pool = pools_.first(); pool != nullptr; pool = pool->next) pool->unlock_shards();
  lock_.release();
}

void Pools::reset_in_child() {
  const Guard guard(lock_);
  for (BlockPool* pool = pools_.first(); pool != nullptr; pool = pool->next) pool->reset_in_child();
}

}  // namespace tri::pools
