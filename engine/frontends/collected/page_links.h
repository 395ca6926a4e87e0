// A word per page: the marker's queue runs through these words, so it needs no memory of its own
// however many pages wait in it, and a page's word says whether it is in the queue already.
//
//   0           not queued
//   kNever      never queued: its records have no references
//   kFrozen     permanent: neither marked nor queued; kRemembered: and a root, because a reference
//               was stored into it since
//   otherwise   queued; the next page in the queue, or kLast
//
// Words are written by the marker; by the page's allocator when it makes a span; by freeze() while
// the world is stopped. Chunks of them come from metadata as the heap grows.
#pragma once

#include <cstdint>

#include "engine/metadata/arena.h"

namespace tri::collected {

using PageLink = uint32_t;
inline constexpr PageLink kNotQueued = 0;
inline constexpr PageLink kLast = UINT32_MAX;
inline constexpr PageLink kNever = UINT32_MAX - 1;
inline constexpr PageLink kFrozen = UINT32_MAX - 2;
inline constexpr PageLink kRemembered = UINT32_MAX - 3;

class PageLinks {
 public:
  bool start(Arena& arena) {
    const size_t chunks = (arena.max_pages() >> kChunkShift) + 1;
    chunks_ = static_cast<PageLink**>(arena.allocate_metadata(chunks * sizeof(PageLink*)));
    return chunks_ != nullptr;
  }

  // Makes the words of these pages exist. False when the OS refuses. Several threads may call it.
  bool cover(Arena& arena, PageId first, Pages count) {
    for (PageId chunk = first >> kChunkShift; chunk <= (first + count - 1) >> kChunkShift;
         ++chunk) {
      if (__atomic_load_n(&chunks_[chunk], __ATOMIC_ACQUIRE) != nullptr) continue;
      auto* fresh =
          static_cast<PageLink*>(arena.allocate_metadata(sizeof(PageLink) << kChunkShift));
      if (fresh == nullptr) return false;
      PageLink* none = nullptr;
      // The loser's chunk stays unused: twice in a heap's life at most.
      __atomic_compare_exchange_n(&chunks_[chunk], &none, fresh, false, __ATOMIC_ACQ_REL,
                                  __ATOMIC_ACQUIRE);
    }
    return true;
  }

  // Before there are others: the first `pages` words say kFrozen. All full chunks are one, shared.
  bool adopt_frozen(Arena& arena, Pages pages) {
    const Pages full = pages >> kChunkShift;
    const Pages rest = pages - (full << kChunkShift);
    if (full != 0) {
      frozen_ = make_frozen(arena, kChunkPages);
      if (frozen_ == nullptr) return false;
    }
    for (Pages chunk = 0; chunk < full; ++chunk) chunks_[chunk] = frozen_;
    if (rest == 0) return true;
    chunks_[full] = make_frozen(arena, rest);
    return chunks_[full] != nullptr;
  }
  // Before a word in a shared chunk is written, under the writers' lock. False: no memory.
  bool own(Arena& arena, PageId page) {
    PageLink*& chunk = chunks_[page >> kChunkShift];
    if (chunk != frozen_ || frozen_ == nullptr) return true;
    PageLink* const fresh = make_frozen(arena, kChunkPages);
    if (fresh == nullptr) return false;
    __atomic_store_n(&chunk, fresh, __ATOMIC_RELEASE);
    return true;
  }

  PageLink& operator[](PageId page) const {
    return __atomic_load_n(&chunks_[page >> kChunkShift],
                           __ATOMIC_ACQUIRE)[page & ((1u << kChunkShift) - 1)];
  }
  PageLink load(PageId page) const { return __atomic_load_n(&(*this)[page], __ATOMIC_RELAXED); }
  void store(PageId page, PageLink link) const {
    __atomic_store_n(&(*this)[page], link, __ATOMIC_RELAXED);
  }

 private:
  static constexpr unsigned kChunkShift = 12;  // 16 KiB of words for 32 MiB of heap
  static constexpr Pages kChunkPages = 1u << kChunkShift;

  static PageLink* make_frozen(Arena& arena, Pages pages) {
    auto* chunk = static_cast<PageLink*>(arena.allocate_metadata(sizeof(PageLink) << kChunkShift));
    for (Pages i = 0; chunk != nullptr && i < pages; ++i) chunk[i] = kFrozen;
    return chunk;
  }

  PageLink** chunks_ = nullptr;
  PageLink* frozen_ = nullptr;  // the chunk that stands for 32 MiB of a saved heap each
};

}  // namespace tri::collected
