#include "engine/frontends/pools/block_pool.h"

#include <algorithm>
#include <new>
#include <utility>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/base/tunables.h"
#include "engine/base/types.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/pools/pools.h"
#include "engine/platform/cpu.h"
#include "engine/platform/thread.h"

namespace tri::pools {

using platform::Guard;

namespace {

constexpr uint32_t kWordBits = 64;

[[noreturn]] void stop_wrong_gift(const void* block) {
  char buffer[256];
  Text text(buffer, sizeof buffer);
  text.put("trimalloc: pool give of ").address(block);
  stop_with(text.put(", which is not out of this pool").c_str());
}

// An object of the program's heap, zeroed.
template <typename Type>
Type* make(size_t count) {
  return static_cast<Type*>(allocate_zeroed(count, sizeof(Type)));
}

size_t words_for(uint32_t blocks) { return (blocks + kWordBits - 1) / kWordBits; }

Chunk* make_chunk(size_t alignment, size_t bytes, uint32_t blocks) {
  const size_t words = words_for(blocks);
  auto* chunk = static_cast<Chunk*>(allocate_zeroed(1, sizeof(Chunk) + words * sizeof(uint64_t)));
  if (chunk == nullptr) return nullptr;
  chunk->begin = static_cast<char*>(allocate_aligned(alignment, bytes));
  if (chunk->begin == nullptr) {
    deallocate(chunk);
    return nullptr;
  }
  chunk->out = reinterpret_cast<uint64_t*>(chunk + 1);
  chunk->free = blocks;
  // What is behind the last block is never free.
  if (const uint32_t rest = blocks % kWordBits) chunk->out[words - 1] = ~uint64_t{0} << rest;
  return chunk;
}

void drop_chunk(Chunk* chunk) {
  deallocate(chunk->begin);
  deallocate(chunk);
}

}  // namespace

// --- a pool's life ----------------------------------------------------------------------------

BlockPool* BlockPool::create(const PoolOptions& options) {
  auto* pool = static_cast<BlockPool*>(allocate_aligned(alignof(BlockPool), sizeof(BlockPool)));
  if (pool == nullptr) return nullptr;
  new (pool) BlockPool;
  pool->alignment_ = std::max(options.alignment, size_t{kPageBytes});
  pool->stride_ = round_up(options.block_bytes, options.alignment);
  const size_t chunk = std::max(options.chunk_bytes, pool->stride_);
  pool->chunk_blocks_ = static_cast<uint32_t>(chunk / pool->stride_);
  pool->chunk_bytes_ = round_up(pool->chunk_blocks_ * pool->stride_, size_t{kPageBytes});
  pool->max_chunks_ = UINT32_MAX;
  if (options.limit_bytes != 0) {
    const size_t chunks = std::max(options.limit_bytes / pool->chunk_bytes_, size_t{1});
    pool->max_chunks_ = static_cast<uint32_t>(std::min(chunks, size_t{UINT32_MAX - 1}));
  }
  pool->shard_count_ = std::min(platform::usable_cpus(), 64u);
  pool->shard_room_ = static_cast<uint32_t>(std::clamp(
      tunable::kPoolShardBytes / pool->stride_, size_t{1}, size_t{tunable::kPoolShardBlocks}));
  pool->shards_ =
      static_cast<Shard*>(allocate_aligned(alignof(Shard), pool->shard_count_ * sizeof(Shard)));
  void** blocks = make<void*>(size_t{pool->shard_count_} * pool->shard_room_);
  if (pool->shards_ == nullptr || blocks == nullptr) {
    deallocate(pool->shards_);
    deallocate(blocks);
    deallocate(pool);
    return nullptr;
  }
  for (uint32_t i = 0; i < pool->shard_count_; ++i) {
    new (&pool->shards_[i]) Shard;
    pool->shards_[i].blocks = blocks + size_t{i} * pool->shard_room_;
  }
  g_pools.add(pool);
  return pool;
}

void BlockPool::destroy() {
  g_pools.remove(this);
  for (uint32_t i = 0; i < chunk_count_; ++i) drop_chunk(chunks_[i]);
  deallocate(chunks_);
  deallocate(shards_[0].blocks);
  deallocate(shards_);
  deallocate(this);
}

// --- take -------------------------------------------------------------------------------------

Shard* BlockPool::borrow() {
  const uint32_t first = platform::thread_hash() % shard_count_;
  uint32_t index = first;
  do {
    if (shards_[index].lock.try_acquire()) return &shards_[index];
    index = index + 1 == shard_count_ ? 0 : index + 1;
  } while (index != first);
  shards_[first].lock.acquire();
  return &shards_[first];
}

void* BlockPool::take() {
  for (;;) {
    Shard* shard = borrow();
    if (shard->count != 0 || refill(*shard)) {
      void* block = shard->blocks[--shard->count];
      ++shard->takes;
      shard->lock.release();
      return block;
    }
    shard->lock.release();
    if (void* block = steal()) return block;
    if (!add_chunk()) return nullptr;
  }
}

void* BlockPool::take_within(uint32_t ms) {
  // Comes before the giver's in the order of the word, and is seen by it; or after, and sees its
  // block.
  waiters_.fetch_add(1);
  const uint32_t gifts = gifts_.load();
  void* block = take();
  if (block == nullptr && ms != 0) {
    platform::futex_wait_for(&gifts_, gifts, ms);
    block = take();
  }
  waiters_.fetch_sub(1);
  return block;
}

// Half of what the shard has room for, so that as much can come back.
bool BlockPool::refill(Shard& shard) {
  const Guard guard(lock_);
  shard.count = take_from_chunks(shard.blocks, (shard_room_ + 1) / 2);
  return shard.count != 0;
}

// From a shard that is not this thread's.
void* BlockPool::steal() {
  for (uint32_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    const Guard guard(shard.lock);
    if (shard.count == 0) continue;
    ++shard.takes;
    return shard.blocks[--shard.count];
  }
  return nullptr;
}

// The lowest addresses first, so that chunks behind empty out; the last one in the array is what
// the shard hands out next.
uint32_t BlockPool::take_from_chunks(void** blocks, uint32_t count) {
  uint32_t taken = 0;
  for (; first_chunk_ < chunk_count_ && taken < count; ++first_chunk_) {
    Chunk& chunk = *chunks_[first_chunk_];
    if (chunk.free == 0) continue;
    if (chunk.free == chunk_blocks_) idle_low_ = std::min(idle_low_, --idle_chunks_);
    while (chunk.free != 0 && taken < count) {
      uint64_t& word = chunk.out[chunk.first_free_word];
      if (~word == 0) {
        ++chunk.first_free_word;
        continue;
      }
      const auto bit = static_cast<uint32_t>(__builtin_ctzll(~word));
      word |= uint64_t{1} << bit;
      --chunk.free;
      blocks[taken++] = chunk.begin + (chunk.first_free_word * kWordBits + bit) * stride_;
    }
    if (chunk.free != 0) break;
  }
  std::reverse(blocks, blocks + taken);
  out_ += taken;
  most_out_ = std::max(most_out_, out_);
  return taken;
}

bool BlockPool::add_chunk() {
  lock_.acquire();
  if (first_chunk_ < chunk_count_) return lock_.release(), true;  // somebody was faster
  const bool allowed = chunk_count_ + growing_ < max_chunks_;
  const bool coming = growing_ != 0;
  growing_ += allowed ? 1 : 0;
  const uint32_t room = 2 * (chunk_count_ + growing_) + 6;
  lock_.release();
  if (!allowed) {
    if (coming) platform::yield();
    return coming;
  }

  Chunk* const chunk = make_chunk(alignment_, chunk_bytes_, chunk_blocks_);
  auto** larger = chunk != nullptr ? make<Chunk*>(room) : nullptr;

  lock_.acquire();
  --growing_;
  // As many as were there and on their way fit in twice; more may have come since.
  const bool fits = larger != nullptr && chunk_count_ < std::max(chunk_room_, room);
  if (fits) {
    if (room > chunk_room_) {
      std::copy(chunks_, chunks_ + chunk_count_, larger);
      std::swap(chunks_, larger);
      chunk_room_ = room;
    }
    Chunk** const place =
        std::lower_bound(chunks_, chunks_ + chunk_count_, chunk->begin,
                         [](const Chunk* one, const char* begin) { return one->begin < begin; });
    std::copy_backward(place, chunks_ + chunk_count_, chunks_ + chunk_count_ + 1);
    *place = chunk;
    ++chunk_count_;
    ++idle_chunks_;
    ++made_;
    first_chunk_ = std::min(first_chunk_, static_cast<uint32_t>(place - chunks_));
  }
  lock_.release();
  deallocate(larger);
  if (!fits && chunk != nullptr) drop_chunk(chunk);
  return fits;
}

// --- give -------------------------------------------------------------------------------------

bool BlockPool::give(void* block) {
  Shard* shard = borrow();
  if (shard->count == shard_room_) empty(*shard, shard_room_ / 2);
  shard->blocks[shard->count++] = block;
  ++shard->gives;
  shard->lock.release();
  announce_gift();
  if (idle_hint_.load(std::memory_order_relaxed)) return false;
  idle_hint_.store(true, std::memory_order_relaxed);
  g_pools.note_idle();
  return true;
}

// Only who may run short is waited for.
void BlockPool::announce_gift() {
  if (max_chunks_ == UINT32_MAX) return;
  if (waiters_.fetch_add(0) == 0) return;  // a plain load could be done before the block is there
  gifts_.fetch_add(1);
  platform::futex_wake(&gifts_, 1);
}

// The oldest go, the most recent stay.
void BlockPool::empty(Shard& shard, uint32_t keep) {
  const uint32_t going = shard.count - keep;
  {
    const Guard guard(lock_);
    give_to_chunks(shard.blocks, going);
  }
  std::copy(shard.blocks + going, shard.blocks + shard.count, shard.blocks);
  shard.count = keep;
}

Chunk* BlockPool::chunk_of(const void* block, uint32_t* index) {
  Chunk** const after =
      std::upper_bound(chunks_, chunks_ + chunk_count_, static_cast<const char*>(block),
                       [](const char* address, const Chunk* one) { return address < one->begin; });
  if (after == chunks_) return nullptr;
  *index = static_cast<uint32_t>(after - chunks_) - 1;
  return chunks_[*index];
}

void BlockPool::give_to_chunks(void* const* blocks, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t place = 0;
    Chunk* const chunk = chunk_of(blocks[i], &place);
    if (chunk == nullptr) stop_wrong_gift(blocks[i]);
    const auto offset = static_cast<size_t>(static_cast<char*>(blocks[i]) - chunk->begin);
    const size_t index = offset / stride_;
    if (offset % stride_ != 0 || index >= chunk_blocks_) stop_wrong_gift(blocks[i]);
    const auto word = static_cast<uint32_t>(index / kWordBits);
    const uint64_t bit = uint64_t{1} << index % kWordBits;
    if ((chunk->out[word] & bit) == 0) stop_wrong_gift(blocks[i]);
    chunk->out[word] &= ~bit;
    chunk->first_free_word = std::min(chunk->first_free_word, word);
    if (++chunk->free == chunk_blocks_) ++idle_chunks_;
    first_chunk_ = std::min(first_chunk_, place);
  }
  out_ -= count;
}

// --- giving back ------------------------------------------------------------------------------

bool BlockPool::look() {
  idle_hint_.store(false, std::memory_order_relaxed);
  bool left = false;
  for (uint32_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    if (!shard.lock.try_acquire()) {
      left = true;
      continue;
    }
    const uint64_t calls = shard.takes + shard.gives;
    if (shard.seen == calls && shard.count != 0) empty(shard, 0);
    shard.seen = calls;
    left = left || shard.count != 0;
    shard.lock.release();
  }
  uint32_t unused = 0;
  {
    const Guard guard(lock_);
    unused = idle_low_;
  }
  drop_idle_chunks(unused);
  {
    const Guard guard(lock_);
    idle_low_ = idle_chunks_;
    left = left || idle_chunks_ != 0;
  }
  if (left) idle_hint_.store(true, std::memory_order_relaxed);
  return left;
}

size_t BlockPool::trim() {
  for (uint32_t i = 0; i < shard_count_; ++i) {
    const Guard guard(shards_[i].lock);
    if (shards_[i].count != 0) empty(shards_[i], 0);
  }
  return drop_idle_chunks(UINT32_MAX);
}

// Those at the highest addresses.
size_t BlockPool::drop_idle_chunks(uint32_t count) {
  size_t bytes = 0;
  for (uint32_t at = UINT32_MAX; count != 0; --count) {
    Chunk* chunk = nullptr;
    {
      const Guard guard(lock_);
      at = std::min(at, chunk_count_);
      while (at != 0 && chunks_[at - 1]->free != chunk_blocks_) --at;
      if (at == 0) break;
      chunk = chunks_[--at];
      std::copy(chunks_ + at + 1, chunks_ + chunk_count_, chunks_ + at);
      --chunk_count_;
      first_chunk_ = std::min(first_chunk_, at);
      idle_low_ = std::min(idle_low_, --idle_chunks_);
      ++returned_;
    }
    drop_chunk(chunk);
    bytes += chunk_bytes_;
  }
  return bytes;
}

// --- numbers and fork -------------------------------------------------------------------------

PoolCounters BlockPool::counters() {
  PoolCounters counters;
  uint64_t in_shards = 0;
  for (uint32_t i = 0; i < shard_count_; ++i) {
    const Guard guard(shards_[i].lock);
    counters.taken += shards_[i].takes - shards_[i].gives;
    in_shards += shards_[i].count;
  }
  const Guard guard(lock_);
  counters.free = in_shards + uint64_t{chunk_count_} * chunk_blocks_ - out_;
  counters.most_out = most_out_;
  counters.chunks = chunk_count_;
  counters.chunk_bytes = chunk_bytes_;
  counters.chunk_blocks = chunk_blocks_;
  counters.chunks_made = made_;
  counters.chunks_returned = returned_;
  return counters;
}

void BlockPool::lock_shards() {
  for (uint32_t i = 0; i < shard_count_; ++i) shards_[i].lock.acquire();
}

void BlockPool::unlock_shards() {
  for (uint32_t i = 0; i < shard_count_; ++i) shards_[i].lock.release();
}

// Threads that waited or were adding a chunk are not in the child.
void BlockPool::reset_in_child() {
  growing_ = 0;
  waiters_.store(0, std::memory_order_relaxed);
}

}  // namespace tri::pools
