// Equal blocks in memory that several processes have mapped: each takes and gives, and the death of
// any of them, at any instruction, harms nobody.
//
//   header | a word for each block: who has it | blocks
//
// The protocol has no lock, so nobody can die holding one. A word is 0 while its block is free,
// else the identity of the process that has it. Taking is 0 -> me, giving is me -> 0, handing over
// is sender -> receiver, taking back what a dead process had is dead -> 0: one compare-and-swap
// each, so of two who try one succeeds, and there is no state in between to be left behind. All
// else in the header is a hint (where to look first, how many wait) that may be wrong.
//
// An identity is the process's id and when it was started (low 32 bits of ticks since boot), so
// that an id which is used again is another identity. Processes must see each other's ids: one PID
// namespace.
//
// Nothing here depends on the rest of the engine, and nothing is kept outside the mapping.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tri::pools {

using ProcessIdentity = uint64_t;
inline constexpr ProcessIdentity kNobody = 0;

// This process's; a forked child has its own.
ProcessIdentity own_identity();
// False when it has certainly ended: no such process, another one of that id, or a zombie.
bool is_alive(ProcessIdentity process);
inline int32_t process_id_of(ProcessIdentity process) {
  return static_cast<int32_t>(process >> 32);
}

class SharedBlocks {
 public:
  // The mapping's size for so many blocks; 0: no such sizes.
  static size_t bytes_for(size_t block_bytes, size_t alignment, size_t count);
  // Makes zeroed memory of that size a set of free blocks. Before anybody else has it mapped.
  static void format(void* memory, size_t block_bytes, size_t alignment, size_t count);
  // What is wrong with memory that should be such a set: a few words, or nullptr.
  static const char* find_fault(const void* memory, size_t bytes);

  // Of memory without fault.
  explicit SharedBlocks(void* memory);

  // nullptr: all are taken, and those who have them live.
  void* take();
  // Waits for a block for at most so long; less when a signal comes.
  void* take_within(uint32_t ms);
  // False: this process does not have it.
  bool give(size_t index);
  // The block's owner becomes this process. False: `from` does not have it any more.
  bool accept(size_t index, ProcessIdentity from);
  // Frees what ended processes had. Returns how many blocks.
  size_t reclaim();

  ProcessIdentity owner_of(size_t index) const;
  void* block_at(size_t index) const { return blocks_ + index * stride_; }
  size_t index_of(const void* block) const {
    return static_cast<size_t>(static_cast<const char*>(block) - blocks_) / stride_;
  }
  size_t count() const { return count_; }
  size_t block_bytes() const { return block_bytes_; }
  size_t count_taken() const;
  uint64_t count_reclaimed() const;

 private:
  struct Header;
  void* take_free(ProcessIdentity me);
  void announce();

  // Copies of what `find_fault` has checked: another process's mistake in the header cannot lead
  // out of the mapping.
  Header* header_;
  std::atomic<ProcessIdentity>* owners_;
  char* blocks_;
  size_t stride_;
  size_t count_;
  size_t block_bytes_;
};

}  // namespace tri::pools
