#include "engine/frontends/pools/c_interface.h"

#include <cerrno>

#include "engine/base/bits.h"
#include "engine/base/tunables.h"
#include "engine/frontends/malloc/background.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/pools/block_pool.h"

namespace tri::pools {
namespace {

BlockPool* inside(trimalloc_pool* pool) { return reinterpret_cast<BlockPool*>(pool); }

void* or_no_memory(void* block) {
  if (block == nullptr) errno = ENOMEM;
  return block;
}

}  // namespace

trimalloc_pool* api_create(const trimalloc_pool_options* options) {
  PoolOptions wanted;
  wanted.block_bytes = options->block_bytes;
  if (options->alignment != 0) wanted.alignment = options->alignment;
  wanted.chunk_bytes = options->chunk_bytes != 0 ? options->chunk_bytes : tunable::kPoolChunkBytes;
  wanted.limit_bytes = options->limit_bytes;
  const bool valid =
      options->struct_size == sizeof *options && wanted.block_bytes != 0 &&
      is_power_of_two(wanted.alignment) && wanted.block_bytes <= tunable::kPoolMaxBytes &&
      wanted.alignment <= tunable::kPoolMaxBytes && wanted.chunk_bytes <= tunable::kPoolMaxBytes;
  if (!valid) {
    errno = EINVAL;
    return nullptr;
  }
  BlockPool* pool = ensure_started() ? BlockPool::create(wanted) : nullptr;
  if (pool == nullptr) errno = ENOMEM;
  return reinterpret_cast<trimalloc_pool*>(pool);
}

void api_destroy(trimalloc_pool* pool) { inside(pool)->destroy(); }

void* api_take(trimalloc_pool* pool) { return or_no_memory(inside(pool)->take()); }

void* api_take_within(trimalloc_pool* pool, uint32_t ms) {
  return or_no_memory(inside(pool)->take_within(ms));
}

void api_give(trimalloc_pool* pool, void* block) {
  if (inside(pool)->give(block)) g_background.note_activity(__builtin_return_address(0));
}

size_t api_trim(trimalloc_pool* pool) { return inside(pool)->trim(); }

int api_read_stats(trimalloc_pool* pool, trimalloc_pool_stats* out) {
  if (out->struct_size != sizeof *out) return -1;
  const PoolCounters counters = inside(pool)->counters();
  out->taken = counters.taken;
  out->free = counters.free;
  out->most_out = counters.most_out;
  out->block_bytes = inside(pool)->block_bytes();
  out->chunks = counters.chunks;
  out->chunk_bytes = counters.chunk_bytes;
  out->chunk_blocks = counters.chunk_blocks;
  out->chunks_made = counters.chunks_made;
  out->chunks_returned = counters.chunks_returned;
  return 0;
}

}  // namespace tri::pools
