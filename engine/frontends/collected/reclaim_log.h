// What the collector has freed of one record type that the program watches: a copy of each record
// as it was, first in, first out, until the program takes it at a moment of its own choosing.
// References in a copy lead nowhere.
//
// The log lies in pages of the heap. One chunk is kept for as long as the type is watched, so that
// a heap at its limit still gets rid of dead records.
//
// Lock: that of the type's span source, which sweeps and takes.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/frontends/collected/layout.h"
#include "engine/frontends/collected/space.h"

namespace tri::collected {

class ReclaimLog {
 public:
  // `waiting`: the heap's count of all that is in logs. False when there is no memory.
  bool start(Space& space, const Layout& layout, std::atomic<uint64_t>& waiting);
  // Gives its memory back; what was not taken is forgotten.
  void stop();

  // The records of a word of live bits that are about to die. Returns those that may: who finds no
  // place in the log stays until the next collection, without its references, which name what may
  // be gone by then.
  uint64_t note(size_t word, uint64_t dead);
  // The oldest copy, of as many bytes as a record has. False when there is none.
  bool take(void* copy);
  uint64_t count() const { return count_; }

 private:
  // At the beginning of its pages.
  struct Chunk {
    Chunk* next;
    Span* span;
    uint32_t noted;
    uint32_t taken;
  };
  Chunk* make_chunk();
  char* copy_at(Chunk* chunk, uint32_t index) const {
    return reinterpret_cast<char*>(chunk + 1) + size_t{index} * layout_->bytes;
  }
  char* place();

  Space* space_ = nullptr;
  const Layout* layout_ = nullptr;
  std::atomic<uint64_t>* waiting_ = nullptr;
  Pages chunk_pages_ = 0;
  uint32_t capacity_ = 0;  // copies in a chunk
  uint64_t count_ = 0;
  Chunk* first_ = nullptr;
  Chunk* last_ = nullptr;
};

}  // namespace tri::collected
