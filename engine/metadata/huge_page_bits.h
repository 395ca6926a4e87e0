// One bit for each stretch of the arena that can be one huge page. Bits come in blocks, which are
// made when the first bit of one is set.
//
// Locks: none. Whoever sets bits is one thread; any may clear them. Nothing depends on a bit but
// how much work is done.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/tunables.h"

namespace tri {

inline constexpr size_t kHugePageBytes = 2 * tunable::kMiB;

class HugePageBits {
 public:
  constexpr HugePageBits() = default;

  // Whether a bit has ever been set. Cheap.
  bool in_use() const { return in_use_.load(std::memory_order_acquire); }
  bool test(size_t index) const {
    const Word* block = block_of(index);
    return block != nullptr &&
           (block[word_in_block(index)].load(std::memory_order_relaxed) & mask_of(index)) != 0;
  }
  // Clears it, and returns what it was.
  bool take(size_t index) const {
    Word* block = block_of(index);
    if (block == nullptr) return false;
    Word& word = block[word_in_block(index)];
    if ((word.load(std::memory_order_relaxed) & mask_of(index)) == 0) return false;
    return (word.fetch_and(~mask_of(index), std::memory_order_relaxed) & mask_of(index)) != 0;
  }
  // `allocate(bytes)` gives zeroed memory for a block. False when it has none.
  template <typename Allocate>
  bool set(size_t index, Allocate allocate) {
    Word* block = block_of(index);
    if (block == nullptr) {
      block = static_cast<Word*>(allocate(kBlockBits / 8));
      if (block == nullptr) return false;
      blocks_[index / kBlockBits].store(block, std::memory_order_release);
      in_use_.store(true, std::memory_order_release);
    }
    block[word_in_block(index)].fetch_or(mask_of(index), std::memory_order_relaxed);
    return true;
  }

 private:
  using Word = std::atomic<uint64_t>;
  // A block is a hardware page, and good for 64 GiB of arena.
  static constexpr size_t kBlockBits = size_t{4096} * 8;
  static constexpr size_t kBlocks = tunable::kMaxArenaBytes / kHugePageBytes / kBlockBits;

  static size_t word_in_block(size_t index) { return index % kBlockBits / 64; }
  static uint64_t mask_of(size_t index) { return uint64_t{1} << (index % 64); }
  Word* block_of(size_t index) const {
    return blocks_[index / kBlockBits].load(std::memory_order_acquire);
  }

  std::atomic<Word*> blocks_[kBlocks] = {};
  std::atomic<bool> in_use_{false};
};

}  // namespace tri
