/* Random operations against a model: every live block is known, carries a pattern of its own to its
 * usable end, and is checked whenever it is touched again. Threads pass blocks to each other.
 *
 *     model SEED THREADS OPERATIONS
 *
 * A pattern is the block's tag mixed with the offset, one word every `stride` bytes: two blocks
 * that overlap, or a page that realloc put at the wrong place, can't both be right. */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"
#include "engine.h"

enum { slots_per_thread = 1500, mailbox_slots = 256, max_threads = 32, large_share = 40 };

struct block {
  unsigned char* start;
  size_t usable;
  uint64_t tag;
};

struct worker {
  pthread_t thread;
  uint64_t state; /* of the random numbers */
  long operations;
  size_t live_bytes;
  struct block slots[slots_per_thread];
};

static struct worker workers[max_threads];
static struct block mailbox[mailbox_slots];
static pthread_mutex_t mailbox_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t seed;

/* A thread's blocks are bounded, so that the test's memory is: beyond this it asks for small ones.
 */
static const size_t live_bound = 48u << 20;

#define REQUIRE(condition, block)                                                          \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      dprintf(2, "%s:%d: %s is false for %p of %zu bytes, seed %lu\n", __FILE__, __LINE__, \
              #condition, (void*)(block)->start, (block)->usable, (unsigned long)seed);    \
      _exit(1);                                                                            \
    }                                                                                      \
  } while (0)

static uint64_t mix(uint64_t x) {
  x ^= x >> 30, x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27, x *= 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

static uint64_t next_random(struct worker* self) { return mix(self->state += 0x9e3779b97f4a7c15u); }

static size_t below(struct worker* self, size_t bound) { return next_random(self) % bound; }

/* Log-uniform, so that each size class and large blocks are met: 0 B to 8 MiB. */
static size_t random_size(struct worker* self) {
  size_t most = 13;
  if (self->live_bytes < live_bound) most = below(self, large_share) == 0 ? 23 : 18;
  size_t bits = below(self, most + 1);
  return bits == 0 ? 0 : below(self, (size_t)1 << bits);
}

static size_t stride_of(size_t usable) { return usable <= 2048 ? 8 : usable <= 65536 ? 248 : 4088; }

/* Visits the words that carry the pattern: the strided ones below `end`, and the last. */
#define FOR_EACH_WORD(at, usable, end) \
  for (size_t at = 0, stride_ = stride_of(usable); at + 8 <= (end); at += stride_)

static void stamp(struct block* b, uint64_t tag) {
  b->tag = tag;
  FOR_EACH_WORD(at, b->usable, b->usable) {
    uint64_t word = tag ^ mix(at);
    memcpy(b->start + at, &word, 8);
  }
  if (b->usable) b->start[b->usable - 1] = (unsigned char)tag;
}

static void check_words(const struct block* b, size_t end) {
  FOR_EACH_WORD(at, b->usable, end) {
    /* The last byte of all has a stamp of its own, which may lie over the end of a word. */
    if (at + 8 == b->usable) break;
    uint64_t word;
    memcpy(&word, b->start + at, 8);
    REQUIRE(word == (b->tag ^ mix(at)), b);
  }
}

static void check_block(const struct block* b) {
  check_words(b, b->usable);
  if (b->usable) REQUIRE(b->start[b->usable - 1] == (unsigned char)b->tag, b);
}

static void adopt(struct worker* self, struct block* b, void* start, size_t asked) {
  b->start = start;
  b->usable = start ? malloc_usable_size(start) : 0;
  REQUIRE(start != NULL && b->usable >= asked, b);
  stamp(b, next_random(self));
  self->live_bytes += b->usable;
}

static void drop(struct worker* self, struct block* b) {
  check_block(b);
  self->live_bytes -= b->usable;
  free(b->start);
  b->start = NULL;
}

static void allocate(struct worker* self, struct block* b) {
  size_t size = random_size(self);
  adopt(self, b, OPAQUE(malloc(size)), size);
  REQUIRE((uintptr_t)b->start % (size >= 16 ? 16 : 8) == 0, b);
}

static void allocate_zeroed(struct worker* self, struct block* b) {
  size_t size = random_size(self);
  struct block fresh = {.start = OPAQUE(calloc(1, size))};
  REQUIRE(fresh.start != NULL, &fresh);
  fresh.usable = malloc_usable_size(fresh.start);
  size_t step = fresh.usable <= 65536 ? 1 : 61;
  for (size_t at = 0; at < fresh.usable; at += step) REQUIRE(fresh.start[at] == 0, &fresh);
  adopt(self, b, fresh.start, size);
}

static void allocate_aligned(struct worker* self, struct block* b) {
  size_t alignment = (size_t)8 << below(self, 15), size = random_size(self) / 4;
  void* start = NULL;
  if (below(self, 2)) {
    start = OPAQUE(memalign(alignment, size));
  } else {
    CHECK(posix_memalign(&start, alignment, size) == 0);
  }
  adopt(self, b, start, size);
  REQUIRE((uintptr_t)start % alignment == 0, b);
}

static void resize(struct worker* self, struct block* b) {
  check_block(b);
  size_t size = random_size(self);
  if (below(self, 2)) size = b->usable + b->usable / (1 + below(self, 12)); /* as lists grow */
  if (size == 0 || size > (32u << 20)) size = 1;
  struct block moved = *b;
  moved.start = OPAQUE(realloc(b->start, size));
  REQUIRE(moved.start != NULL, &moved);
  /* The old pattern, as far as it was kept, is judged by the old block's stride and end. */
  check_words(&moved, size < b->usable ? size : b->usable);
  self->live_bytes -= b->usable;
  adopt(self, b, moved.start, size);
}

/* Swaps a block with whatever another thread left in the mailbox. */
static void exchange(struct worker* self, struct block* b) {
  pthread_mutex_lock(&mailbox_lock);
  struct block* other = &mailbox[below(self, mailbox_slots)];
  struct block taken = *other;
  *other = *b;
  *b = taken;
  pthread_mutex_unlock(&mailbox_lock);
  self->live_bytes += (b->start ? b->usable : 0) - (other->start ? other->usable : 0);
  if (b->start) check_block(b);
}

static void step(struct worker* self) {
  struct block* b = &self->slots[below(self, slots_per_thread)];
  size_t choice = below(self, 100);
  if (!b->start) {
    if (choice < 70) return allocate(self, b);
    return choice < 85 ? allocate_zeroed(self, b) : allocate_aligned(self, b);
  }
  if (choice < 55) return drop(self, b);
  if (choice < 75) return resize(self, b);
  if (choice < 90) return exchange(self, b);
  if (choice < 99) return check_block(b);
  if (below(self, 40) == 0) malloc_trim(0);
}

static void* work(void* argument) {
  struct worker* self = argument;
  for (long i = 0; i < self->operations; i++) step(self);
  return NULL;
}

static void drop_all(struct worker* self, struct block* blocks, int count) {
  for (int i = 0; i < count; i++) {
    if (blocks[i].start) drop(self, &blocks[i]);
  }
}

int main(int argc, char** argv) {
  CHECK(argc == 4);
  seed = strtoull(argv[1], NULL, 0);
  int threads = atoi(argv[2]);
  CHECK(threads >= 1 && threads <= max_threads);
  for (int i = 0; i < threads; i++) {
    workers[i].state = mix(seed + (uint64_t)i);
    workers[i].operations = atol(argv[3]);
    CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
  }
  for (int i = 0; i < threads; i++) pthread_join(workers[i].thread, NULL);
  verify_engine();
  for (int i = 0; i < threads; i++) drop_all(&workers[i], workers[i].slots, slots_per_thread);
  drop_all(&workers[0], mailbox, mailbox_slots);
  malloc_trim(0);
  verify_engine();
  return 0;
}
