// A bitmap with one bit per granule, growing down from its end: the live, seen and scanned bits of
// a collected heap. Word w has the granules 64 w to 64 w + 63; a page's eight words are a cache
// line.
//
// Live bits are written by whoever holds the span and, when a record is freed by hand, by others:
// whole words change atomically. Seen and scanned bits belong to the marker, then to the sweeper.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/frontends/collected/reference.h"

namespace tri::collected {

// The bits of `slots`, as their first granules, in a word whose bit 0 begins a slot. `slot` is a
// power of two up to 64.
constexpr uint64_t slot_starts(uint32_t slot) {
  return slot >= 64 ? 1 : ~uint64_t{0} / low_bits(slot);
}
static_assert(slot_starts(1) == ~uint64_t{0} && slot_starts(4) == 0x1111111111111111u);

class GranuleBits {
 public:
  constexpr GranuleBits() = default;
  explicit GranuleBits(uint64_t* end) : end_(end) {}

  uint64_t& word(size_t index) const { return end_[-static_cast<ptrdiff_t>(index) - 1]; }
  uint64_t load(size_t index) const { return __atomic_load_n(&word(index), __ATOMIC_RELAXED); }
  void store(size_t index, uint64_t bits) const {
    __atomic_store_n(&word(index), bits, __ATOMIC_RELAXED);
  }
  bool test(Reference granule) const { return load(granule / 64) >> (granule % 64) & 1; }

  void set(Reference granule) const {
    __atomic_fetch_or(&word(granule / 64), uint64_t{1} << (granule % 64), __ATOMIC_RELEASE);
  }
  // Whether it was set.
  bool clear(Reference granule) const {
    const uint64_t bit = uint64_t{1} << (granule % 64);
    return (__atomic_fetch_and(&word(granule / 64), ~bit, __ATOMIC_ACQ_REL) & bit) != 0;
  }

  // Calls `visit(word index, mask)` for the words that hold the slots from `begin` to `end`;
  // `begin` is the start of a slot.
  template <typename Visitor>
  static void for_each_slot_word(Reference begin, Reference end, uint32_t slot, Visitor visit) {
    if (is_power_of_two(slot) && slot <= 64) {
      const uint64_t starts = slot_starts(slot);
      while (begin < end) {
        const unsigned offset = begin % 64;
        const auto here = static_cast<unsigned>(std::min<Reference>(end - begin, 64 - offset));
        visit(begin / 64, starts & (low_bits(here) << offset));
        begin += here;
      }
      return;
    }
    while (begin < end) {
      const Reference index = begin / 64;
      uint64_t mask = 0;
      for (; begin < end && begin / 64 == index; begin += slot) mask |= uint64_t{1} << (begin % 64);
      visit(index, mask);
    }
  }

  void set_slots(Reference begin, Reference end, uint32_t slot) const {
    for_each_slot_word(begin, end, slot, [&](size_t index, uint64_t mask) {
      __atomic_fetch_or(&word(index), mask, __ATOMIC_RELEASE);
    });
  }
  void clear_slots(Reference begin, Reference end, uint32_t slot) const {
    for_each_slot_word(begin, end, slot, [&](size_t index, uint64_t mask) {
      __atomic_fetch_and(&word(index), ~mask, __ATOMIC_RELEASE);
    });
  }

  // The first granule from `begin` on whose bit is set; `end` when there is none.
  Reference next_set(Reference begin, Reference end) const {
    if (begin >= end) return end;
    uint64_t bits = load(begin / 64) >> (begin % 64);
    if (bits != 0) {
      const Reference found = begin + lowest_bit(bits);
      return found < end ? found : end;
    }
    for (Reference at = (begin / 64 + 1) * 64; at < end; at += 64) {
      bits = load(at / 64);
      if (bits == 0) continue;
      const Reference found = at + lowest_bit(bits);
      return found < end ? found : end;
    }
    return end;
  }

  // The first slot from `begin`, the start of one, on whose bit is clear; `end` when there is none.
  Reference next_clear_slot(Reference begin, Reference end, uint32_t slot) const {
    if (!is_power_of_two(slot) || slot > 32) {
      while (begin < end && test(begin)) begin += slot;
      return begin;
    }
    const uint64_t starts = slot_starts(slot);
    while (begin < end) {
      const uint64_t free = (~load(begin / 64) & starts) >> (begin % 64);
      if (free != 0) {
        const Reference found = begin + lowest_bit(free);
        return found < end ? found : end;
      }
      begin = (begin / 64 + 1) * 64;
    }
    return end;
  }

  uint32_t count(Reference begin, Reference end) const {
    uint32_t total = 0;
    for (Reference at = begin; at < end; at += 64) {
      uint64_t bits = load(at / 64);
      if (end - at < 64) bits &= low_bits(static_cast<unsigned>(end - at));
      total += count_bits(bits);
    }
    return total;
  }

 private:
  uint64_t* end_ = nullptr;
};

}  // namespace tri::collected
