// 32-bit words by number, zero until they are written, with memory only where there are any: what
// a walk notes of each record. As a set of references it takes one bit per granule.
//
//   directory   chunk or none | chunk or none | ...   as many as the numbers asked for have needed
//
// It belongs to one thread, which holds a processor whenever it asks for a word.
#pragma once

#include <algorithm>

#include "engine/frontends/collected/chunked_list.h"

namespace tri::collected {

class SparseWords {
 public:
  // For numbers below `words` mostly: those above cost a wider directory. False when there is no
  // memory.
  bool start(Access& access, uint64_t words) { return widen(access, (words >> kChunkShift) + 1); }
  // nullptr when there is no memory.
  uint32_t* at(Access& access, uint64_t number) {
    const size_t chunk = number >> kChunkShift;
    if (__builtin_expect(chunk >= chunk_count_, 0) &&
        !widen(access, std::max(chunk + 1, 2 * chunk_count_))) {
      return nullptr;
    }
    Entry& entry = directory_.get(chunk);
    if (!entry.made) {
      if (!entry.chunk.make(access, size_t{1} << kChunkShift)) return nullptr;
      entry.made = true;
    }
    return &entry.chunk.get(number & kChunkMask);
  }
  void clear(Access& access) {
    if (chunk_count_ == 0) return;
    for (size_t i = 0; i < chunk_count_; ++i) {
      if (directory_.get(i).made) directory_.get(i).chunk.drop(access);
    }
    directory_.drop(access);
    chunk_count_ = 0;
  }

 private:
  // 32 KiB: as a set, the bits of 4 MiB of records.
  static constexpr unsigned kChunkShift = 13;
  static constexpr uint64_t kChunkMask = (1u << kChunkShift) - 1;

  struct Entry {
    PlainChunk<uint32_t> chunk;
    bool made;
  };
  bool widen(Access& access, size_t chunks) {
    PlainChunk<Entry> wider;
    if (!wider.make(access, chunks)) return false;
    for (size_t i = 0; i < chunk_count_; ++i) wider.set(access, i, directory_.get(i));
    if (chunk_count_ != 0) directory_.drop(access);
    directory_ = wider;
    chunk_count_ = chunks;
    return true;
  }

  PlainChunk<Entry> directory_;
  size_t chunk_count_ = 0;
};

// What numbers by reference are mostly below: the heap may grow meanwhile.
inline uint64_t granules_in_use(Access& access) {
  return uint64_t{access.heap().space().arena.committed_pages()} * kGranulesPerPage;
}

class ReferenceSet {
 public:
  bool start(Access& access) { return words_.start(access, granules_in_use(access) / 32); }
  // The word that has the reference's bit; nullptr when there is no memory.
  uint32_t* word(Access& access, Reference reference) { return words_.at(access, reference / 32); }
  static uint32_t bit(Reference reference) { return uint32_t{1} << (reference % 32); }
  void clear(Access& access) { words_.clear(access); }

 private:
  SparseWords words_;
};

}  // namespace tri::collected
