/* Memory that runs out: NULL with ENOMEM, and a process that goes on. LIMIT_BYTES is the limit that
 * the test has set, by whatever means. */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cases.h"
#include "engine.h"
#include "residency.h"

static size_t limit_bytes(void) { return strtoull(getenv("LIMIT_BYTES"), NULL, 0); }

/* A list of blocks, linked through themselves, so that keeping them costs nothing more. */
struct link {
  struct link* next;
};

static void free_list(struct link* list) {
  while (list) {
    struct link* next = list->next;
    free(list);
    list = next;
  }
}

/* Allocates and touches blocks of `size` until there are no more, and returns their bytes. A limit
 * that does not hold fails at once, rather than when the machine has no memory left. */
static size_t take_all(struct link** list, size_t size) {
  size_t total = 0;
  for (;; total += size) {
    errno = 0;
    struct link* block = OPAQUE(malloc(size));
    if (!block) break;
    CHECK_SIZE(total <= limit_bytes() + limit_bytes() / 4, total);
    for (size_t at = 0; at < size; at += 4096) ((volatile char*)block)[at] = 1;
    block->next = *list;
    *list = block;
  }
  CHECK_SIZE(errno == ENOMEM, size);
  return total;
}

static const size_t block_sizes[] = {48, 1000, 20000, 200000, 300000, 3 << 20};
enum { block_size_count = sizeof block_sizes / sizeof *block_sizes };

/* A quarter of the limit at least is the program's; under 64 MB, whatever is left beside code. */
static size_t fair_share(void) { return limit_bytes() >= 64 << 20 ? limit_bytes() / 4 : 512 << 10; }

CASE(ends_with_null_and_recovers) {
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < block_size_count; i++) {
      struct link* list = NULL;
      if (block_sizes[i] > fair_share()) continue;
      CHECK_SIZE(take_all(&list, block_sizes[i]) >= fair_share(), block_sizes[i]);
      free_list(list);
    }
  }
  verify_engine();
}

CASE(failed_growth_keeps_the_block) {
  size_t size = 1000;
  char *p = OPAQUE(malloc(size)), *grown;
  memset(p, 0x41, size);
  errno = 0;
  while ((grown = OPAQUE(realloc(p, size * 2)))) {
    CHECK_SIZE(size <= limit_bytes(), size);
    p = grown;
    size *= 2;
    memset(p, 0x41, size);
    errno = 0;
  }
  CHECK(errno == ENOMEM);
  for (size_t at = 0; at < size; at += 511) CHECK_SIZE(p[at] == 0x41, at);
  free(p);
  p = OPAQUE(malloc(size / 2));
  CHECK(p != NULL);
  free(p);
}

CASE(calloc_and_aligned_requests_fail_alike) {
  struct link* list = NULL;
  take_all(&list, 300000);
  void* out = &list;
  size_t size = limit_bytes();
  errno = 0;
  CHECK(calloc(1, OPAQUE(size)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(memalign(1 << 16, OPAQUE(size)) == NULL && errno == ENOMEM);
  CHECK(posix_memalign(&out, 1 << 16, OPAQUE(size)) == ENOMEM && out == &list);
  free_list(list);
}

static void* use_malloc(void* unused) {
  char stack[1 << 16];
  memset(stack, 1, sizeof stack);
  for (int i = 0; i < 200; i++) {
    char* p = OPAQUE(malloc((size_t)i * 100));
    CHECK(p != NULL);
    free(p);
  }
  return unused;
}

/* Address space is for others too: our reservation must leave room for stacks and mappings. */
CASE(threads_with_big_stacks) {
  enum { threads = 16 };
  pthread_t thread[threads];
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 8 << 20);
  for (int i = 0; i < threads; i++) {
    CHECK_SIZE(pthread_create(&thread[i], &attributes, use_malloc, NULL) == 0, i);
  }
  for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
}

CASE(mappings_of_the_program) {
  size_t size = limit_bytes() / 4;
  void* p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  memset(p, 1, size);
  use_malloc(NULL);
}

/* Under TRIMALLOC_LIMIT another thread watches how much memory there is while the others take all.
 */
static volatile int watching = 1;
static volatile size_t highest;

static void* watch(void* unused) {
  while (watching) {
    size_t now = resident_bytes();
    if (now > highest) highest = now;
    sleep_ms(1);
  }
  return unused;
}

static void* take_and_free(void* unused) {
  for (int i = 0; i < block_size_count; i++) {
    struct link* list = NULL;
    take_all(&list, block_sizes[i]);
    free_list(list);
  }
  return unused;
}

static void stay_under_limit(int threads) {
  pthread_t watcher, thread[8];
  size_t base = resident_bytes();
  CHECK(pthread_create(&watcher, NULL, watch, NULL) == 0);
  for (int i = 0; i < threads; i++) {
    CHECK(pthread_create(&thread[i], NULL, take_and_free, NULL) == 0);
  }
  for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
  watching = 0;
  pthread_join(watcher, NULL);
  CHECK_SIZE(highest <= base + limit_bytes() + (8 << 20), highest);
  CHECK_SIZE(highest >= base + limit_bytes() / 2, highest); /* the watcher did see it */
}

CASE(residency_stays_under_the_limit) { stay_under_limit(1); }

CASE(residency_stays_under_the_limit_with_threads) { stay_under_limit(4); }

/* Blocks of one size after another: what one size freed is there for the next. */
CASE(what_is_freed_can_be_used_again) {
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < block_size_count; i++) {
      struct link* list = NULL;
      CHECK_SIZE(take_all(&list, block_sizes[i]) >= limit_bytes() / 4 * 3, block_sizes[i]);
      free_list(list);
    }
  }
}

static volatile int pressure;

static void note_pressure(void* context) {
  (void)context;
  pressure++;
}

/* The soft limit is half of LIMIT_BYTES. */
CASE(the_soft_limit_is_an_event) {
  const trimalloc_api* api = engine_api();
  CHECK(api != NULL);
  api->set_pressure_hook(note_pressure, NULL);
  size_t quarter = limit_bytes() / 4;
  char* p = OPAQUE(malloc(quarter));
  memset(p, 1, quarter);
  CHECK(pressure == 0);
  char* q = OPAQUE(malloc(quarter * 2));
  CHECK(q != NULL);
  memset(q, 1, quarter * 2);
  CHECK(pressure >= 1);
  free(p);
  free(q);
  api->set_pressure_hook(NULL, NULL);
}
