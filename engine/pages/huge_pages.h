// Huge pages under what is dense and stays: one translation for 2 MiB instead of 512, which is what
// a program waits for that follows references through hundreds of megabytes. Off unless asked for
// (setting huge_pages).
//
//   a stretch of 2 MiB --all of it has memory, twice, a second apart--> one huge page
//          ^-------------- a part of it is given back (Arena::release) ------'
//
// Made afterwards, and by us: where the kernel makes them at the first touch (MADV_HUGEPAGE), a
// heap takes memory that nobody asked for, and khugepaged fills again what was given back
// (golang/go#64332). Here a huge page has no memory that was not there, and one that is shared
// after a fork is let alone.
//
// To make one takes copying it, 0.2 to 3 ms. Go gave MADV_COLLAPSE up because it was called with
// the heap's lock held while the kernel looked for memory (golang/go#63334); here the background
// thread calls it without a lock, for as long as that is a small part of the processor time that
// the program uses, and leaves off for a while when the kernel refuses.
//
// Policy only: no thread, no clock, no lock of its own. One caller at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/metadata/arena.h"

namespace tri {

class HugePages {
 public:
  constexpr explicit HugePages(Arena& arena) : arena_(arena) {}

  // What is due. `program_ns`: CPU time that the program has used so far; `own_ns` tells that of
  // the calling thread; `go_on` is asked before each system call.
  void look(uint64_t now_ms, uint64_t program_ns, uint64_t (*own_ns)(), bool (*go_on)());

  // How many were made, since the start. For any thread.
  uint64_t made() const { return made_.load(std::memory_order_relaxed); }

 private:
  bool supported();
  void look_at(size_t index, uint64_t now_ms);
  bool mark(HugePageBits& bits, size_t index);

  Arena& arena_;
  HugePageBits full_;  // all of it had memory when it was looked at last
  size_t next_ = 0;    // to be looked at
  uint64_t pass_ended_ms_ = 0;
  uint64_t passes_ = 1;
  uint64_t paused_until_ms_ = 0;
  uint64_t program_ns_ = 0;
  uint64_t spent_ns_ = 0;
  std::atomic<uint64_t> made_{0};
  unsigned refusals_ = 0;  // in a row
  enum class Support : uint8_t { kUnknown, kYes, kNo } support_ = Support::kUnknown;
};

}  // namespace tri
