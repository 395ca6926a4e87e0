// The transfer cache of one size class: objects on their way from one thread's cache to another's,
// a batch or more at a time, without touching a span. It is what makes a producer and a consumer
// cost one short lock a batch each.
//
// A stack of pointers in metadata, made on first use. Lock rank kTransfer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "engine/base/tunables.h"
#include "engine/base/types.h"
#include "engine/central/size_classes.h"
#include "engine/metadata/arena.h"
#include "engine/platform/lock.h"

namespace tri {

class TransferCache {
 public:
  constexpr TransferCache() = default;
  void start(SizeClass size_class) { size_class_ = size_class; }

  // Takes at least `least` objects and at most `most`, or none. Returns how many; their order is
  // that in which they were given.
  uint32_t take(void** objects, uint32_t least, uint32_t most) {
    if (used_.load(std::memory_order_relaxed) < least) return 0;
    const platform::Guard guard(lock_);
    const uint32_t used = used_.load(std::memory_order_relaxed);
    if (used < least) return 0;
    const uint32_t count = std::min(used, most);
    std::memcpy(objects, slots_ + used - count, count * sizeof(void*));
    set_used(used - count);
    return count;
  }

  // Takes in as many of `count` objects as there is room for, the first ones. Returns how many.
  uint32_t give(void* const* objects, uint32_t count, Arena& arena) {
    const platform::Guard guard(lock_);
    const uint32_t used = used_.load(std::memory_order_relaxed);
    count = std::min(count, capacity() - used);
    if (count == 0) return 0;
    if (slots_ == nullptr) {
      slots_ = static_cast<void**>(arena.allocate_metadata(capacity() * sizeof(void*)));
      if (slots_ == nullptr) return 0;
    }
    std::memcpy(slots_ + used, objects, count * sizeof(void*));
    used_.store(used + count, std::memory_order_relaxed);
    return count;
  }

  // The oldest objects that lay unused since the last call, at most `most`; for the scavenger.
  uint32_t take_unused(void** objects, uint32_t most, bool everything) {
    const platform::Guard guard(lock_);
    const uint32_t used = used_.load(std::memory_order_relaxed);
    const uint32_t count = std::min(everything ? used : low_water_, most);
    if (count != 0) {
      std::memcpy(objects, slots_, count * sizeof(void*));
      std::memmove(slots_, slots_ + count, (used - count) * sizeof(void*));
      used_.store(used - count, std::memory_order_relaxed);
    }
    low_water_ = count == most && !everything ? low_water_ - count : used - count;
    return count;
  }

  uint32_t used() const { return used_.load(std::memory_order_relaxed); }
  platform::Lock& lock() { return lock_; }

 private:
  uint32_t capacity() const {
    const ClassGeometry& g = kClasses[size_class_];
    const auto by_bytes = static_cast<uint32_t>(tunable::kTransferMaxBytes / g.object_bytes);
    return std::max(2 * g.batch, std::min(by_bytes, tunable::kTransferMaxObjects));
  }
  void set_used(uint32_t used) {
    used_.store(used, std::memory_order_relaxed);
    low_water_ = std::min(low_water_, used);
  }

  platform::Lock lock_{platform::Rank::kTransfer};
  SizeClass size_class_ = 0;
  std::atomic<uint32_t> used_{0};  // written under the lock, glanced at without
  uint32_t low_water_ = 0;
  void** slots_ = nullptr;
};

}  // namespace tri
