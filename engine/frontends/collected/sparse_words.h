// 32-bit words by number, zero until they are written, with memory only where there are any: what
// a walk notes of each record. As a set of references it takes one bit per granule.
//
// It belongs to one thread, which holds a processor whenever it asks for a word.
#pragma once

#include "engine/frontends/collected/chunked_list.h"

namespace tri::collected {

class SparseWords {
 public:
  // For numbers below `words`. False when there is no memory.
  bool start(Access& access, uint64_t words) {
    chunk_count_ = static_cast<size_t>((words + kChunkMask) >> kChunkShift);
    started_ = directory_.make(access, chunk_count_);
    return started_;
  }
  // nullptr when there is no memory.
  uint32_t* at(Access& access, uint64_t number) {
    Entry& entry = directory_.get(number >> kChunkShift);
    if (!entry.made) {
      if (!entry.chunk.make(access, size_t{1} << kChunkShift)) return nullptr;
      entry.made = true;
    }
    return &entry.chunk.get(number & kChunkMask);
  }
  void clear(Access& access) {
    if (!started_) return;
    for (size_t i = 0; i < chunk_count_; ++i) {
      if (directory_.get(i).made) directory_.get(i).chunk.drop(access);
    }
    directory_.drop(access);
    started_ = false;
  }

 private:
  // 32 KiB: as a set, the bits of 4 MiB of records.
  static constexpr unsigned kChunkShift = 13;
  static constexpr uint64_t kChunkMask = (1u << kChunkShift) - 1;

  struct Entry {
    PlainChunk<uint32_t> chunk;
    bool made;
  };
  PlainChunk<Entry> directory_;
  size_t chunk_count_ = 0;
  bool started_ = false;
};

class ReferenceSet {
 public:
  bool start(Access& access) {
    const uint64_t granules = uint64_t{access.heap().space().arena.max_pages()} * kGranulesPerPage;
    return words_.start(access, (granules + 31) / 32);
  }
  // The word that has the reference's bit; nullptr when there is no memory.
  uint32_t* word(Access& access, Reference reference) { return words_.at(access, reference / 32); }
  static uint32_t bit(Reference reference) { return uint32_t{1} << (reference % 32); }
  void clear(Access& access) { words_.clear(access); }

 private:
  SparseWords words_;
};

}  // namespace tri::collected
