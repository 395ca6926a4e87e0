// Pools of equal blocks: where blocks lie, when chunks come and go, and what two threads may do.
#include "engine/frontends/pools/block_pool.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include "engine/frontends/pools/pools.h"
#include "tests/engine/support/malloc_engine.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::pools {
namespace {

using testing::contains;
using testing::last_words_of;
using testing::MallocEngine;

constexpr size_t kKiB = 1024;

// Sixteen blocks to a chunk of 1 MiB.
PoolOptions of_64_kib(size_t limit_bytes = 0) {
  PoolOptions options;
  options.block_bytes = 64 * kKiB;
  options.chunk_bytes = 1024 * kKiB;
  options.limit_bytes = limit_bytes;
  return options;
}

std::vector<void*> take_all(BlockPool& pool, size_t count) {
  std::vector<void*> blocks;
  for (size_t i = 0; i < count; ++i) {
    blocks.push_back(pool.take());
    CHECK(blocks.back() != nullptr);
  }
  return blocks;
}

void give_all(BlockPool& pool, const std::vector<void*>& blocks) {
  for (void* block : blocks) pool.give(block);
}

CASE(BlocksLieSideBySideAndAligned) {
  MallocEngine engine;
  for (size_t alignment : {size_t{1}, size_t{64}, size_t{4096}, size_t{65536}}) {
    for (size_t bytes : {size_t{1}, size_t{100}, size_t{4096}, size_t{100000}}) {
      PoolOptions options;
      options.block_bytes = bytes;
      options.alignment = alignment;
      options.chunk_bytes = 256 * kKiB;
      BlockPool* pool = BlockPool::create(options);
      const size_t stride = pool->block_bytes();
      CHECK_LE(bytes, stride);
      CHECK_EQ(stride % alignment, 0u);
      const std::vector<void*> blocks = take_all(*pool, 300);
      CHECK_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), 300u);
      for (void* block : blocks) {
        CHECK_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0u);
        memset(block, 0xA5, bytes);
      }
      // Rising addresses, as far as a chunk goes.
      const auto rising = std::is_sorted_until(blocks.begin(), blocks.end()) - blocks.begin();
      CHECK_LE(std::min<size_t>(300, pool->counters().chunk_blocks), static_cast<size_t>(rising));
      give_all(*pool, blocks);
      CHECK_EQ(pool->counters().taken, 0u);
      pool->destroy();
    }
  }
  CHECK_EQ(MallocEngine::stats().large_objects, 0u);
  MallocEngine::verify();
}

CASE(TheLastBlockGivenIsTheNextTaken) {
  MallocEngine engine;
  BlockPool* pool = BlockPool::create(of_64_kib());
  const std::vector<void*> blocks = take_all(*pool, 5);
  pool->give(blocks[3]);
  CHECK(pool->take() == blocks[3]);
}

CASE(ChunksComeOneByOneAndGoWhenTrimmed) {
  MallocEngine engine;
  BlockPool* pool = BlockPool::create(of_64_kib());
  CHECK_EQ(pool->counters().chunks, 0u);
  const std::vector<void*> blocks = take_all(*pool, 33);
  CHECK_EQ(pool->counters().chunks, 3u);
  CHECK_EQ(pool->counters().taken, 33u);
  CHECK_EQ(pool->counters().free, 48u - 33u);
  CHECK_EQ(pool->trim(), 0u);
  give_all(*pool, blocks);
  CHECK_EQ(pool->counters().free, 48u);
  CHECK_EQ(pool->trim(), 3u * 1024 * kKiB);
  CHECK_EQ(pool->counters().chunks, 0u);
  CHECK_EQ(MallocEngine::stats().large_objects, 0u);
  take_all(*pool, 17);
  CHECK_EQ(pool->counters().chunks_made, 5u);
  CHECK_EQ(pool->counters().chunks_returned, 3u);
}

CASE(AChunkWithOneBlockOutStays) {
  MallocEngine engine;
  BlockPool* pool = BlockPool::create(of_64_kib());
  std::vector<void*> blocks = take_all(*pool, 64);
  std::sort(blocks.begin(), blocks.end());
  for (size_t i = 0; i < 64; ++i) {
    if (i % 32 != 5) pool->give(blocks[i]);
  }
  pool->trim();
  CHECK_EQ(pool->counters().chunks, 2u);
  // The lowest blocks are the first to be used again.
  CHECK(pool->take() == blocks[0]);
}

CASE(WhatNobodyUsesGoesBackAfterLooks) {
  MallocEngine engine;
  BlockPool* pool = BlockPool::create(of_64_kib());
  const std::vector<void*> blocks = take_all(*pool, 40);
  CHECK(!g_pools.hold_something());
  give_all(*pool, blocks);
  CHECK(g_pools.hold_something());
  CHECK(g_pools.look());  // used since the last look
  CHECK(g_pools.look());  // the shards are emptied
  g_pools.look();         // the chunks have been idle since
  CHECK(!g_pools.look());
  CHECK_EQ(pool->counters().chunks, 0u);
  CHECK(!g_pools.hold_something());
}

CASE(SteadyUseKeepsItsChunks) {
  MallocEngine engine;
  BlockPool* pool = BlockPool::create(of_64_kib());
  for (int i = 0; i < 20; ++i) {
    give_all(*pool, take_all(*pool, 40));
    g_pools.look();
  }
  CHECK_EQ(pool->counters().chunks_made, 3u);
}

CASE(TheLimitIsInChunks) {
  MallocEngine engine;
  BlockPool* pool = BlockPool::create(of_64_kib(2048 * kKiB));
  std::vector<void*> blocks = take_all(*pool, 32);
  CHECK(pool->take() == nullptr);
  pool->give(blocks[7]);
  CHECK(pool->take() == blocks[7]);
  CHECK(pool->take() == nullptr);
  give_all(*pool, blocks);
  pool->trim();
  take_all(*pool, 32);
  CHECK(pool->take() == nullptr);
}

CASE(NoMemoryIsNoBlock) {
  MallocEngine engine;
  BlockPool* pool = BlockPool::create(of_64_kib());
  g_tiers.page_heap.set_limit(8 * 1024 * kKiB, 7 * 1024 * kKiB);
  std::vector<void*> blocks;
  while (void* block = pool->take()) {
    memset(block, 1, 64 * kKiB);
    blocks.push_back(block);
  }
  CHECK_LE(16u, blocks.size());
  CHECK_LE(blocks.size(), 128u);
  give_all(*pool, blocks);
  pool->destroy();
  MallocEngine::verify();
}

CASE(WrongGiftsStopWhenTheyReachTheChunks) {
  MallocEngine engine;
  BlockPool* pool = BlockPool::create(of_64_kib());
  BlockPool* other = BlockPool::create(of_64_kib());
  char* const block = static_cast<char*>(pool->take());
  void* const foreign = other->take();
  int local = 0;
  for (void* wrong : {static_cast<void*>(block + 64), foreign, static_cast<void*>(&local)}) {
    CHECK(contains(last_words_of([&] {
                     pool->give(wrong);
                     pool->trim();
                   }),
                   "which is not out of this pool"));
  }
  CHECK(contains(last_words_of([&] {
                   pool->give(block);
                   pool->give(block);
                   pool->trim();
                 }),
                 "which is not out of this pool"));
}

// --- threads ----------------------------------------------------------------------------------

constexpr uint64_t kThreads = 8;

// Each block is written all over with what says who has it: a block in two hands shows.
void work(BlockPool& pool, uint64_t seed) {
  testing::Random random(seed);
  std::vector<uint64_t*> mine;
  for (int i = 0; i < 20000; ++i) {
    if (mine.size() < 6 && random.below(2) == 0) {
      auto* block = static_cast<uint64_t*>(pool.take());
      if (block == nullptr) continue;
      std::fill_n(block, 128, seed * 1000 + mine.size());
      mine.push_back(block);
    } else if (!mine.empty()) {
      uint64_t* block = mine.back();
      mine.pop_back();
      for (int word = 0; word < 128; ++word) CHECK_EQ(block[word], seed * 1000 + mine.size());
      pool.give(block);
    }
  }
  for (uint64_t* block : mine) pool.give(block);
}

void storm(size_t limit_bytes) {
  PoolOptions options;
  options.block_bytes = 1024;
  options.chunk_bytes = 16 * kKiB;
  options.limit_bytes = limit_bytes;
  BlockPool* pool = BlockPool::create(options);
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= kThreads; ++seed) {
    threads.emplace_back([=] { work(*pool, seed); });
  }
  for (int i = 0; i < 200; ++i) g_pools.look();
  for (std::thread& thread : threads) thread.join();
  const PoolCounters counters = pool->counters();
  CHECK_EQ(counters.taken, 0u);
  CHECK_EQ(counters.free, counters.chunks * counters.chunk_blocks);
  pool->trim();
  CHECK_EQ(pool->counters().chunks, 0u);
  CHECK_EQ(pool->counters().chunks_made, pool->counters().chunks_returned);
  pool->destroy();
}

CASE(ManyThreadsNeverShareABlock) {
  MallocEngine engine;
  storm(0);
}

CASE(ManyThreadsAtTheLimit) {
  MallocEngine engine;
  storm(32 * kKiB);
}

CASE(AWaiterGetsWhatIsGiven) {
  MallocEngine engine;
  PoolOptions options = of_64_kib(1);
  options.chunk_bytes = 1;  // one block
  BlockPool* pool = BlockPool::create(options);
  void* block = pool->take();
  CHECK(pool->take() == nullptr);
  CHECK(pool->take_within(1) == nullptr);
  void* got = nullptr;
  std::thread waiter([&] { got = pool->take_within(60000); });
  usleep(20000);
  pool->give(block);
  waiter.join();
  CHECK(got == block);
}

CASE(AForkedChildHasThePoolForItself) {
  MallocEngine engine;
  BlockPool* pool = BlockPool::create(of_64_kib());
  const std::vector<void*> blocks = take_all(*pool, 20);
  const pid_t child = fork();
  if (child == 0) {
    give_all(*pool, blocks);
    pool->trim();
    _exit(pool->counters().chunks == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  CHECK_EQ(pool->counters().taken, 20u);
}

}  // namespace
}  // namespace tri::pools
