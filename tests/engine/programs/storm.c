/* Threads that allocate, resize, hand over and free blocks of every size class, each with a pattern
 * that is checked when the block is touched again.
 *
 *     storm SEED THREADS OPERATIONS
 *
 * Made for an emulator: blocks stay under a MiB, from where realloc moves page tables
 * (MREMAP_DONTUNMAP), which QEMU's user mode does not know, and nothing forks. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine.h"

enum { slots = 200, most_threads = 16, largest = 600 * 1024 };

struct block {
  unsigned char* start;
  size_t bytes;
  unsigned char mark;
};

static struct block shared[slots];
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static long operations;

static uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
  return *state;
}

/* Small sizes are as likely as large ones. */
static size_t any_size(uint64_t* state) {
  return next_random(state) % (((size_t)largest >> next_random(state) % 16) + 1) + 1;
}

static void mark(struct block* block, unsigned char value) {
  block->mark = value;
  memset(block->start, value, block->bytes);
}

static void check(const struct block* block, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 61) CHECK_SIZE(block->start[i] == block->mark, block->bytes);
  if (bytes) CHECK_SIZE(block->start[bytes - 1] == block->mark, block->bytes);
}

static void step(struct block* block, uint64_t* state) {
  const size_t bytes = any_size(state);
  const unsigned choice = next_random(state) % 8;
  if (block->start && choice < 3) {
    const size_t kept = bytes < block->bytes ? bytes : block->bytes;
    block->start = realloc(block->start, bytes);
    CHECK(block->start);
    block->bytes = bytes;
    check(block, kept);
  } else {
    if (block->start) check(block, block->bytes);
    free(block->start);
    const size_t alignment = (size_t)16 << next_random(state) % 9;
    block->start = choice == 3   ? calloc(1, bytes)
                   : choice == 4 ? aligned_alloc(alignment, bytes)
                                 : malloc(bytes);
    block->bytes = bytes;
    CHECK(block->start);
    if (choice == 3) CHECK(block->start[0] == 0 && block->start[bytes - 1] == 0);
    if (choice == 4) CHECK((uintptr_t)block->start % alignment == 0);
  }
  mark(block, (unsigned char)next_random(state));
}

static void* run(void* argument) {
  uint64_t state = (uintptr_t)argument * 0x9e3779b97f4a7c15u | 1;
  static __thread struct block own[slots];
  for (long i = 0; i < operations; ++i) {
    struct block* block = &own[next_random(&state) % slots];
    step(block, &state);
    if (i % 4 == 0) {
      pthread_mutex_lock(&shared_lock);
      struct block* other = &shared[next_random(&state) % slots];
      const struct block kept = *other;
      *other = *block;
      *block = kept;
      pthread_mutex_unlock(&shared_lock);
    }
  }
  for (int i = 0; i < slots; ++i) free(own[i].start);
  return NULL;
}

int main(int argc, char** argv) {
  CHECK(argc == 4);
  const uintptr_t seed = (uintptr_t)atol(argv[1]);
  const int count = atoi(argv[2]);
  operations = atol(argv[3]);
  CHECK(count <= most_threads && engine_api());
  pthread_t threads[most_threads];
  for (int i = 0; i < count; ++i) {
    CHECK(pthread_create(&threads[i], NULL, run, (void*)(seed + (uintptr_t)i)) == 0);
  }
  for (int i = 0; i < count; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  for (int i = 0; i < slots; ++i) free(shared[i].start);
  engine_api()->release();
  verify_engine();
  return 0;
}
