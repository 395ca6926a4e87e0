// What the engine asks of the operating system, as one small table of functions: the real one is
// linux_os(), tests put in one that fails on command and whose clock they turn.
//
// Memory is in one of three states, and there is one function per transition, as in Go's
// runtime/mem.go:
//
//     reserved (PROT_NONE, only addresses) --commit--> usable (reads as zero)
//     usable --release--> usable, without memory behind it (reads as zero)
//     usable --remap--> usable elsewhere, the source reads as zero
#pragma once

#include <cstddef>
#include <cstdint>

namespace tri::platform {

struct Os {
  // A range of addresses, aligned to `alignment`; nullptr when the OS refuses.
  void* (*reserve)(size_t bytes, size_t alignment);
  void (*unreserve)(void* range, size_t bytes);
  // Makes reserved addresses usable. False when the OS refuses (ENOMEM).
  bool (*commit)(void* range, size_t bytes);
  // As commit, where nothing was reserved: the addresses must be free.
  bool (*commit_unreserved)(void* range, size_t bytes);
  // Gives the memory back, keeps the addresses usable. False when the kernel keeps it (mlock): the
  // range then holds what it held.
  bool (*release)(void* range, size_t bytes);
  // Moves the pages of `from` to `to`, both usable, page tables only. What `to` had is dropped,
  // `from` reads as zero afterwards. False when the kernel cannot: `from` is as it was then. The
  // page behind `from` must be mapped.
  bool (*remap)(void* from, void* to, size_t bytes);
  // Replaces the mapping by a fresh one, which reads as zero: undoes what remap and the program's
  // own madvise calls did to it. False as for release.
  bool (*refresh)(void* range, size_t bytes);
  // The range is about to be written as a whole, so that huge pages suit it. Advice.
  void (*prefer_huge_pages)(void* range, size_t bytes);
  // What one entry of the second lowest page tables maps, where programs may have pages of that; 0
  // where there are none, or whoever runs the machine wants none.
  size_t (*huge_page_bytes)();
  // Makes one huge page of the range, which is as long and begins at a multiple of that. It takes
  // what copying it takes, and memory for what has none. False: it stays as it was.
  bool (*collapse)(void* range, size_t bytes);
  // The range, a part of a huge page, is about to be released: without this the kernel keeps its
  // memory, with all of the huge page, until it runs short. Takes 0.1 to 0.2 ms. Advice.
  void (*split)(void* range, size_t bytes);
  // Every hardware page of the range is about to be written: they get memory in one call instead of
  // a page fault each. Advice.
  void (*populate)(void* range, size_t bytes);
  // How many hardware pages of the range have memory now. A hint: what was swapped out has none and
  // does not read as zero.
  size_t (*resident_pages)(const void* range, size_t bytes);
  // How many of them have memory that no other process shares, as a forked one does. 0 where the
  // kernel does not tell.
  size_t (*own_pages)(const void* range, size_t bytes);
  // A name for the range in /proc/PID/maps, where the kernel has such names.
  void (*label)(void* range, size_t bytes, const char* name);
  // Milliseconds of a clock that does not jump; its zero is arbitrary.
  uint64_t (*now_ms)();
  size_t page_bytes;  // the hardware's: 4, 16 or 64 KiB
};

// The real one. Asks the kernel for its page size on the first call.
const Os& linux_os();

// Main memory and swap of the machine, in bytes, where the kernel refuses single requests beyond
// them (vm.overcommit_memory = 0, the heuristic); SIZE_MAX where it does not.
size_t largest_sensible_request();

// Memory that is the process's own, without the pages of files: what the kernel counts, to within
// some 100 KiB. 0 where there is no /proc.
size_t own_resident_bytes();

// Bytes of address space that the process may have (RLIMIT_AS); SIZE_MAX when unlimited.
size_t address_space_limit();

}  // namespace tri::platform
