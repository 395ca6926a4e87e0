#include "engine/frontends/collected/weak_table.h"

#include <algorithm>
#include <bit>
#include <new>

#include "engine/base/check.h"

namespace tri::collected {

using platform::Guard;

namespace {

constexpr uint32_t kFirstBuckets = kPageBytes / sizeof(WeakId);
// The golden ratio's share of 2^32: neighbouring records land far apart.
constexpr uint32_t kHashFactor = 0x9E3779B9;

}  // namespace

// --- the index ------------------------------------------------------------------------------

WeakId* WeakTable::bucket_of(Reference record) const {
  return buckets_ + ((folded(record) * kHashFactor) >> (32 - std::countr_zero(bucket_count_)));
}

WeakId WeakTable::find_locked(Reference record) const {
  if (bucket_count_ == 0) return kNoWeak;
  WeakId id = *bucket_of(record);
  while (id != kNoWeak && load(id) != record) id = slot(id).next;
  return id;
}

// The slot names nothing from now on.
void WeakTable::unlink_locked(WeakId id) {
  WeakId* link = bucket_of(load(id));
  while (*link != id) link = &slot(*link).next;
  *link = slot(id).next;
  slot(id).target.store(kNone, std::memory_order_relaxed);
  used_.fetch_sub(1, std::memory_order_relaxed);
}

// At most one record for each bucket on average. When there is no memory for more buckets, there
// are more records in each.
bool WeakTable::widen_index_locked() {
  if (used_.load(std::memory_order_relaxed) < bucket_count_) return true;
  const uint32_t wanted = std::max(2 * bucket_count_, kFirstBuckets);
  Span* span =
      space_->page_heap.allocate(static_cast<Pages>(pages_for(size_t{wanted} * sizeof(WeakId))));
  if (span == nullptr) return bucket_count_ != 0;
  Span* const old_span = index_span_;
  index_span_ = span;
  buckets_ = reinterpret_cast<WeakId*>(space_->address_of(first_granule(span->first)));
  bucket_count_ = wanted;
  std::fill_n(buckets_, wanted, kNoWeak);
  const uint32_t count = slot_count_.load(std::memory_order_relaxed);
  for (WeakId id = 0; id < count; ++id) {
    if (load(id) == kNone) continue;
    WeakId* const bucket = bucket_of(load(id));
    slot(id).next = *bucket;
    *bucket = id;
  }
  if (old_span != nullptr) space_->page_heap.free(old_span);
  return true;
}

bool WeakTable::add_chunk_locked() {
  const uint32_t count = slot_count_.load(std::memory_order_relaxed);
  if (chunks_ == nullptr) {
    chunks_ = static_cast<Slot**>(space_->arena.allocate_metadata(kMaxChunks * sizeof(Slot*)));
  }
  if (chunks_ == nullptr || count >> kChunkShift == kMaxChunks) return false;
  void* memory = space_->arena.allocate_metadata(sizeof(Slot) << kChunkShift);
  if (memory == nullptr) return false;
  chunks_[count >> kChunkShift] = static_cast<Slot*>(memory);
  return true;
}

// One that names nothing. New ones begin where the last ended: a heap with a few samples touches a
// page of them, not all of a chunk.
WeakId WeakTable::take_slot_locked() {
  if (free_ != kNoWeak) {
    const WeakId id = free_;
    free_ = slot(id).next;
    return id;
  }
  const WeakId id = slot_count_.load(std::memory_order_relaxed);
  if ((id & kChunkMask) == 0 && !add_chunk_locked()) return kNoWeak;
  new (&slot(id)) Slot();
  slot_count_.store(id + 1, std::memory_order_release);
  return id;
}

// --- slots ----------------------------------------------------------------------------------

WeakId WeakTable::add(Reference record) {
  const Guard guard(lock_);
  WeakId id = find_locked(record);
  if (id == kNoWeak) {
    if (!widen_index_locked() || (id = take_slot_locked()) == kNoWeak) return kNoWeak;
    WeakId* const bucket = bucket_of(record);
    slot(id).next = *bucket;
    *bucket = id;
    slot(id).target.store(record, std::memory_order_relaxed);
    used_.fetch_add(1, std::memory_order_relaxed);
  }
  ++slot(id).users;
  return id;
}

void WeakTable::remove(WeakId id) {
  const Guard guard(lock_);
  TRI_CHECK(slot(id).users != 0);
  if (--slot(id).users != 0) return;
  if (load(id) != kNone) unlink_locked(id);
  slot(id).next = free_;
  free_ = id;
}

void WeakTable::forget(Reference record) {
  if (used_.load(std::memory_order_relaxed) == 0) return;
  const Guard guard(lock_);
  const WeakId id = find_locked(record);
  if (id != kNoWeak) unlink_locked(id);
}

// --- at the end of marking ------------------------------------------------------------------

bool WeakTable::is_reached(Reference record) const {
  const PageLink link = space_->links.load(page_of(record));
  return link == kFrozen || link == kRemembered || space_->seen.test(record);
}

void WeakTable::find_suspects() {
  first_suspect_ = kNoWeak;
  const uint32_t count = slot_count_.load(std::memory_order_acquire);
  for (WeakId id = 0; id < count; ++id) {
    const Reference record = load(id);
    if (record == kNone || is_reached(record)) continue;
    slot(id).next_suspect = first_suspect_;
    first_suspect_ = id;
  }
}

void WeakTable::clear_unreached() {
  if (first_suspect_ == kNoWeak) return;
  const Guard guard(lock_);
  for (WeakId id = first_suspect_; id != kNoWeak; id = slot(id).next_suspect) {
    // By now it may be free, or another record's.
    const Reference record = load(id);
    if (record != kNone && !is_reached(record)) unlink_locked(id);
  }
  first_suspect_ = kNoWeak;
}

void WeakTable::verify() {
  const Guard guard(lock_);
  uint32_t used = 0;
  const uint32_t count = slot_count_.load(std::memory_order_relaxed);
  for (WeakId id = 0; id < count; ++id) {
    if (load(id) == kNone) continue;
    TRI_CHECK(slot(id).users != 0);
    TRI_CHECK_EQ(find_locked(load(id)), id);
    ++used;
  }
  TRI_CHECK_EQ(used, used_.load(std::memory_order_relaxed));
}

}  // namespace tri::collected
