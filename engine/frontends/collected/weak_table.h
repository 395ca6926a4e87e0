// Weak references: slots that name a record without keeping it. A record has at most one slot,
// which all who ask for one share, so that what frees the record can find it:
//
//   hash of the record -> index -> slot -> slot ...      next: of the same hash
//
// At the stop that ends marking, slots whose record was not reached are cleared, before anybody can
// read them or the record's place is used again. Which slots that may be is found out beside the
// program: marking only adds to what it has reached, and who makes a slot from then on holds its
// record. So the stop looks at these suspects only.
//
// Lock: rank kSlots; callers hold a processor, or have stopped the world. Targets are read without.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/frontends/collected/space.h"
#include "engine/platform/lock.h"

namespace tri::collected {

using WeakId = uint32_t;
inline constexpr WeakId kNoWeak = UINT32_MAX;

class WeakTable {
 public:
  void start(Space& space) { space_ = &space; }

  // The slot of a record, with one more user; kNoWeak when there is no memory.
  WeakId add(Reference record);
  // One user less.
  void remove(WeakId id);
  // The record, or kNone when it is gone. Shading it is the caller's part.
  Reference load(WeakId id) const { return slot(id).target.load(std::memory_order_relaxed); }

  // The record is about to be freed by hand.
  void forget(Reference record);

  // Before the stop that may end marking; by the cycle's thread.
  void find_suspects();
  // In that stop, when all has been marked.
  void clear_unreached();

  // Calls `visit(record)` for each record that has a slot. The world is stopped.
  template <typename Visitor>
  void for_each_record(Visitor visit) const {
    const uint32_t count = slot_count_.load(std::memory_order_acquire);
    for (WeakId id = 0; id < count; ++id) {
      if (const Reference record = load(id)) visit(record);
    }
  }
  // Stops the program when the index and the slots disagree. The world is stopped.
  void verify();

 private:
  struct Slot {
    std::atomic<Reference> target{kNone};
    uint32_t users = 0;
    WeakId next = kNoWeak;          // of the same hash; of free slots
    WeakId next_suspect = kNoWeak;  // the cycle's thread's
  };
  static constexpr unsigned kChunkShift = 12;
  static constexpr uint32_t kChunkMask = (1u << kChunkShift) - 1;
  static constexpr uint32_t kMaxChunks = 1u << 14;  // 67 million slots

  Slot& slot(WeakId id) const { return chunks_[id >> kChunkShift][id & kChunkMask]; }
  bool is_reached(Reference record) const;
  WeakId* bucket_of(Reference record) const;
  WeakId find_locked(Reference record) const;
  void unlink_locked(WeakId id);
  bool add_chunk_locked();
  WeakId take_slot_locked();
  bool widen_index_locked();

  Space* space_ = nullptr;
  platform::Lock lock_{platform::Rank::kSlots};
  Slot** chunks_ = nullptr;
  std::atomic<uint32_t> slot_count_{0};  // that exist; they are made before they are counted
  WeakId free_ = kNoWeak;
  // Slots with a record: glanced at without the lock by who frees records.
  std::atomic<uint32_t> used_{0};
  // A power of two of buckets, in pages of their own.
  Span* index_span_ = nullptr;
  WeakId* buckets_ = nullptr;
  uint32_t bucket_count_ = 0;
  WeakId first_suspect_ = kNoWeak;
};

}  // namespace tri::collected
