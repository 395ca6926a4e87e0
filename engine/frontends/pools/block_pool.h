// A pool of equal blocks for programs that ask for it: big chunks cut into blocks, grown when
// short, idle chunks given back.
//
//   pool.take()     from the shard of a processor; short: a batch from the chunks; short again: the
//                   other shards; at last a new chunk from the page heap
//   pool.give(b)    to a shard; full: half of it to the chunks
//   pools.look()    now and then, from the background thread: shards that nobody used since the
//   last
//                   look are emptied, and chunks that were free all the time go back to the page
//                   heap
//
// Blocks carry no header, so their addresses are multiples of their alignment and 16 blocks of
// 64 KiB are 1 MiB. Which blocks of a chunk are out is a bit for each, beside the chunk: it changes
// only when blocks move between shards and chunks, where a block that is given twice shows.
//
// Two threads: a shard is a processor's, borrowed for a call by its lock; who finds it taken tries
// the next. The chunks have one lock. A shard's lock may be held when the chunks' is taken, never
// the other way round; neither while the engine is asked for memory or given it back.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/platform/lock.h"

namespace tri::pools {

struct PoolOptions {
  size_t block_bytes = 0;  // > 0
  size_t alignment = 64;   // a power of two
  size_t chunk_bytes = 0;  // as many blocks as fit, one at least
  size_t limit_bytes = 0;  // of chunks; 0: none
};

// Blocks, unless the name says otherwise.
struct PoolCounters {
  uint64_t taken = 0;
  uint64_t free = 0;
  uint64_t most_out = 0;      // that were out of the chunks at once, those in shards with them
  uint64_t chunks = 0;        // now
  uint64_t chunk_bytes = 0;   // of each
  uint64_t chunk_blocks = 0;  // in each
  uint64_t chunks_made = 0;   // since the start
  uint64_t chunks_returned = 0;
};

// One processor's blocks, last in first out: the block that comes back is warm.
struct alignas(64) Shard {
  platform::Lock lock{platform::Rank::kPoolShard};
  uint32_t count = 0;
  uint64_t takes = 0, gives = 0;  // by this shard; their difference over all shards is what is out
  uint64_t seen = 0;              // their sum at the last look
  void** blocks = nullptr;        // of BlockPool::shard_room_
};

struct Chunk {
  char* begin = nullptr;
  uint32_t free = 0;
  uint32_t first_free_word = 0;  // no word below has a free block
  uint64_t* out = nullptr;       // a bit for each block
};

class BlockPool {
 public:
  // nullptr: no memory.
  static BlockPool* create(const PoolOptions& options);
  // Every block is gone with it; no other thread is inside any call.
  void destroy();

  // nullptr: at the limit, or no memory.
  void* take();
  // The same, after waiting for a block for at most so long; less when a signal comes.
  void* take_within(uint32_t ms);
  // Stops the program when the block is not one of this pool's, or was given already, and that is
  // noticed. Returns whether it is the first since the last look: somebody should look.
  bool give(void* block);

  // Everything that is free goes back to the page heap. Returns bytes.
  size_t trim();
  PoolCounters counters();
  size_t block_bytes() const { return stride_; }

  BlockPool* next = nullptr;
  BlockPool* prev = nullptr;

 private:
  friend class Pools;

  bool look();
  Shard* borrow();
  bool refill(Shard& shard);
  void empty(Shard& shard, uint32_t keep);
  void* steal();
  uint32_t take_from_chunks(void** blocks, uint32_t count);
  void give_to_chunks(void* const* blocks, uint32_t count);
  Chunk* chunk_of(const void* block, uint32_t* index);
  bool add_chunk();
  size_t drop_idle_chunks(uint32_t count);
  void announce_gift();
  void lock_shards();
  void unlock_shards();
  void reset_in_child();

  size_t stride_ = 0;
  size_t chunk_bytes_ = 0;
  size_t alignment_ = 0;
  uint32_t chunk_blocks_ = 0;
  uint32_t max_chunks_ = 0;  // UINT32_MAX: no limit
  uint32_t shard_count_ = 0;
  uint32_t shard_room_ = 0;
  Shard* shards_ = nullptr;

  platform::Lock lock_{platform::Rank::kPool};
  Chunk** chunks_ = nullptr;  // by address
  uint32_t chunk_count_ = 0;
  uint32_t chunk_room_ = 0;
  uint32_t growing_ = 0;      // chunks that are on their way
  uint32_t first_chunk_ = 0;  // none before it has a free block
  uint32_t idle_chunks_ = 0;  // without a block out
  uint32_t idle_low_ = 0;     // the least of those since the last look
  uint64_t out_ = 0, most_out_ = 0, made_ = 0, returned_ = 0;

  std::atomic<bool> idle_hint_{false};
  // Who waits for a block, and a number that changes when one is given while somebody does.
  std::atomic<uint32_t> waiters_{0};
  std::atomic<uint32_t> gifts_{0};
};

}  // namespace tri::pools
