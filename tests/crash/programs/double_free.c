/* Blocks that are freed twice.
 *
 * Where the message must know the block's size, or where a right program would allocate between the
 * two frees, a neighbour stays in use: else the block's span would become free pages, and those
 * another block. */
#include <pthread.h>
#include <semaphore.h>

#include "misuse.h"

MISUSE(immediate, "double free of 0x[0-9a-f]+ \\(a block of 64 bytes\\)") {
  char *p = OPAQUE(malloc(64)), *neighbour = OPAQUE(malloc(64));
  free(p);
  AT_VOID_CALL(free(p));
  free(neighbour);
}

MISUSE(of_the_smallest_block, "double free") {
  char* p = OPAQUE(malloc(0));
  free(p);
  AT_VOID_CALL(free(p));
}

MISUSE(of_the_largest_class, "double free") {
  char* p = OPAQUE(malloc(256 * 1024));
  free(p);
  AT_VOID_CALL(free(p));
}

MISUSE(with_another_block_between, "double free") {
  char *p = OPAQUE(malloc(48)), *q = OPAQUE(malloc(48));
  free(p);
  free(q);
  AT_VOID_CALL(free(p));
}

MISUSE(interleaved_many_times, "double free") {
  enum { blocks = 8 };
  char* held[blocks];
  for (int i = 0; i < blocks; i++) held[i] = OPAQUE(malloc(96));
  for (int i = 0; i < blocks; i++) free(held[i]);
  for (int i = 0; i < blocks; i++) AT_VOID_CALL(free(held[i]));
}

/* The first free is long ago: it has left the thread's cache. */
MISUSE(after_thousands_of_other_frees, "double free") {
  enum { blocks = 20000 };
  static char* held[blocks];
  for (int i = 0; i < blocks; i++) held[i] = OPAQUE(malloc(64));
  for (int i = 0; i < blocks; i += 2) free(held[i]);
  AT_VOID_CALL(free(held[0]));
}

/* Both frees are in the past when the cache overflows by itself. */
MISUSE(before_thousands_of_other_frees, "double free") {
  enum { blocks = 20000 };
  static char* held[blocks];
  for (int i = 0; i < blocks; i++) held[i] = OPAQUE(malloc(64));
  free(held[0]);
  AT_VOID_CALL(free(held[0]));
  for (int i = 1; i < blocks; i++) free(held[i]);
}

MISUSE(after_the_cache_was_emptied, "double free") {
  char *p = OPAQUE(malloc(200)), *neighbour = OPAQUE(malloc(200));
  free(p);
  malloc_trim(0);
  AT_VOID_CALL(free(p));
  free(neighbour);
}

/* Nothing else lives in the block's span: its pages are free, perhaps already given back. */
MISUSE(after_its_span_was_given_back, "double free|which trimalloc did not allocate") {
  char* p = OPAQUE(malloc(30000));
  free(p);
  malloc_trim(0);
  AT_VOID_CALL(free(p));
}

/* The block was handed out once more in between, to an owner who frees it rightly first. */
MISUSE(after_reuse, "double free") {
  char* p = OPAQUE(malloc(64));
  free(p);
  char* q = OPAQUE(malloc(64));
  free(q);
  AT_VOID_CALL(free(p));
}

/* Two blocks come out at one address, and both owners free theirs. */
MISUSE(then_handed_out_twice, "double free") {
  char* p = OPAQUE(malloc(64));
  free(p);
  AT_VOID_CALL(free(p));
  char *q = OPAQUE(malloc(64)), *r = OPAQUE(malloc(64));
  free(q);
  free(r);
}

MISUSE(of_a_calloc_block, "double free") {
  char* p = OPAQUE(calloc(10, 10));
  free(p);
  AT_VOID_CALL(free(p));
}

MISUSE(of_an_aligned_block, "double free") {
  char* p = OPAQUE(aligned_alloc(512, 512));
  free(p);
  AT_VOID_CALL(free(p));
}

static sem_t was_freed;

static void* free_again(void* p) {
  sem_wait(&was_freed);
  AT_VOID_CALL(free(p));
  return NULL;
}

/* The second free happens in a thread whose exit gives its cache away. The thread is there before
 * the first free, because making one allocates. */
static void free_here_and_in_another_thread(void* p) {
  pthread_t thread;
  sem_init(&was_freed, 0, 0);
  CHECK(pthread_create(&thread, NULL, free_again, p) == 0);
  free(p);
  sem_post(&was_freed);
  pthread_join(thread, NULL);
}

MISUSE(from_another_thread, "double free") { free_here_and_in_another_thread(OPAQUE(malloc(64))); }

static void* free_quietly(void* p) {
  free(p);
  return NULL;
}

/* The first free happens in the other thread. */
MISUSE(of_what_another_thread_freed, "double free") {
  char* p = OPAQUE(malloc(64));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, free_quietly, p) == 0);
  pthread_join(thread, NULL);
  AT_VOID_CALL(free(p));
}

MISUSE_AT_CALL(of_a_large_block, "double free") {
  char* p = OPAQUE(malloc(1 << 20));
  free(p);
  AT_VOID_CALL(free(p));
}

MISUSE_AT_CALL(of_a_huge_block, "double free") {
  char* p = OPAQUE(malloc(64 << 20));
  free(p);
  AT_VOID_CALL(free(p));
}

MISUSE_AT_CALL(of_a_large_block_from_another_thread, "double free") {
  free_here_and_in_another_thread(OPAQUE(malloc(1 << 20)));
}

/* Its pages have merged with its neighbours'. */
MISUSE_AT_CALL(of_a_large_block_after_coalescing, "double free|which trimalloc did not allocate") {
  char *left = OPAQUE(malloc(1 << 20)), *p = OPAQUE(malloc(1 << 20));
  char* right = OPAQUE(malloc(1 << 20));
  free(left);
  free(right);
  free(p);
  AT_VOID_CALL(free(p));
}

MISUSE_AT_CALL(of_a_large_block_after_release, "double free|which trimalloc did not allocate") {
  char* p = OPAQUE(malloc(8 << 20));
  free(p);
  malloc_trim(0);
  AT_VOID_CALL(free(p));
}

/* realloc moved the block away: the old address is free. */
MISUSE(of_what_realloc_moved, "double free") {
  char *p = OPAQUE(malloc(64)), *neighbour = OPAQUE(malloc(64));
  char* moved = OPAQUE(realloc(p, 4000));
  CHECK(moved != p);
  AT_VOID_CALL(free(p));
  free(neighbour);
}

MISUSE(of_what_realloc_to_zero_freed, "double free") {
  char* p = OPAQUE(malloc(64));
  CHECK(realloc(p, 0) == NULL);
  AT_VOID_CALL(free(p));
}
