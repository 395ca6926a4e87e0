/* Threads that come and go, and blocks that outlive them. */
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "cases.h"
#include "engine.h"
#include "residency.h"

static size_t varied(int i) { return (size_t)(i * 2654435761u) % 3000 + 1; }

static void use_malloc(int blocks) {
  void* held[100];
  for (int done = 0; done < blocks; done += 100) {
    for (int i = 0; i < 100; i++) {
      held[i] = OPAQUE(malloc(varied(i)));
      CHECK(held[i] != NULL);
      memset(held[i], 1, varied(i));
    }
    for (int i = 0; i < 100; i++) free(held[i]);
  }
}

static void* use_malloc_once(void* unused) {
  use_malloc(100);
  return unused;
}

static void run_threads(int count, void* (*body)(void*), void* argument) {
  pthread_t thread[2];
  for (int i = 0; i < count; i += 2) {
    for (int j = 0; j < 2; j++) CHECK(pthread_create(&thread[j], NULL, body, argument) == 0);
    for (int j = 0; j < 2; j++) pthread_join(thread[j], NULL);
  }
}

CASE(ten_thousand_short_threads_take_no_memory) {
  run_threads(500, use_malloc_once, NULL);
  size_t early = resident_bytes();
  run_threads(10000, use_malloc_once, NULL);
  CHECK(resident_bytes() < early + (8 << 20));
  verify_engine();
}

static void* touch_once(void* unused) {
  free(OPAQUE(malloc(64)));
  return unused;
}

CASE(threads_that_hardly_allocate) {
  run_threads(500, touch_once, NULL);
  size_t early = resident_bytes();
  run_threads(10000, touch_once, NULL);
  CHECK(resident_bytes() < early + (4 << 20));
}

enum { legacy_blocks = 1000 };

static void* leave_blocks(void* table) {
  char** held = table;
  for (int i = 0; i < legacy_blocks; i++) {
    held[i] = OPAQUE(malloc(varied(i)));
    memset(held[i], i, varied(i));
  }
  return NULL;
}

/* Blocks whose maker is dead are right, can be freed, and their memory is found again. */
CASE(blocks_outlive_their_thread) {
  static char* table[legacy_blocks];
  size_t early = 0;
  for (int round = 0; round < 300; round++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, leave_blocks, table) == 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < legacy_blocks; i++) {
      CHECK_SIZE(table[i][varied(i) - 1] == (char)i, varied(i));
      free(table[i]);
    }
    if (round == 20) early = resident_bytes();
  }
  CHECK(resident_bytes() < early + (16 << 20));
}

static void* free_blocks(void* table) {
  char** held = table;
  for (int i = 0; i < legacy_blocks; i++) free(held[i]);
  return NULL;
}

/* The other way round: threads that only ever free. */
CASE(threads_that_only_free) {
  static char* table[legacy_blocks];
  size_t early = 0;
  for (int round = 0; round < 300; round++) {
    leave_blocks(table);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_blocks, table) == 0);
    pthread_join(thread, NULL);
    if (round == 20) early = resident_bytes();
  }
  CHECK(resident_bytes() < early + (16 << 20));
}

/* A key's destructor runs again as long as it sets its key anew: some of these runs come after
 * every other destructor of the thread, the allocator's own included. */
static pthread_key_t late_key;
static _Atomic int late_runs;

static void allocate_late(void* block) {
  late_runs++;
  free(block);
  use_malloc(100);
  pthread_setspecific(late_key, OPAQUE(malloc(1000)));
}

static void* set_late_key(void* unused) {
  pthread_setspecific(late_key, OPAQUE(malloc(1000)));
  return unused;
}

CASE(key_destructors_may_allocate) {
  pthread_key_t others[20];
  CHECK(pthread_key_create(&late_key, allocate_late) == 0);
  for (int i = 0; i < 20; i++) CHECK(pthread_key_create(&others[i], free) == 0);
  run_threads(200, set_late_key, NULL);
  CHECK(late_runs >= 200);
  size_t early = resident_bytes();
  run_threads(4000, set_late_key, NULL);
  /* The last round of each leaves a block of 1000 bytes behind; nothing else may stay. */
  CHECK(resident_bytes() < early + (16 << 20));
  verify_engine();
}

/* The thread's very first call of malloc is in its destructor. */
static void* set_key_without_malloc(void* unused) {
  pthread_setspecific(late_key, unused);
  return NULL;
}

static void allocate_first(void* unused) {
  (void)unused;
  use_malloc(100);
}

CASE(the_first_allocation_is_in_a_destructor) {
  CHECK(pthread_key_create(&late_key, allocate_first) == 0);
  run_threads(2000, set_key_without_malloc, &late_key);
  size_t early = resident_bytes();
  run_threads(4000, set_key_without_malloc, &late_key);
  CHECK(resident_bytes() < early + (8 << 20));
}

enum { crowd = 500 };

static sem_t ready, go;

static void* allocate_and_wait(void* unused) {
  use_malloc(2000);
  sem_post(&ready);
  sem_wait(&go);
  use_malloc(100);
  return unused;
}

/* Half a megabyte for each thread's cache would be 250 MB. */
CASE(five_hundred_idle_threads_are_cheap) {
  static pthread_t threads[crowd];
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 << 10);
  sem_init(&ready, 0, 0);
  sem_init(&go, 0, 0);
  size_t before = resident_bytes();
  for (int i = 0; i < crowd; i++) {
    CHECK(pthread_create(&threads[i], &small, allocate_and_wait, NULL) == 0);
  }
  for (int i = 0; i < crowd; i++) sem_wait(&ready);
  CHECK(resident_bytes() < before + (64 << 20));
  for (int i = 0; i < crowd; i++) sem_post(&go);
  for (int i = 0; i < crowd; i++) pthread_join(threads[i], NULL);
}

enum { ring_slots = 1024, passed_blocks = 400000 };

static void* _Atomic ring[ring_slots];

static void* produce(void* unused) {
  for (int i = 0; i < passed_blocks; i++) {
    char* block = OPAQUE(malloc(varied(i) / 4 + 1));
    *block = 1;
    while (ring[i % ring_slots]) sched_yield();
    ring[i % ring_slots] = block;
  }
  return unused;
}

/* One thread only allocates, the other only frees: what is freed must find its way back. */
CASE(producer_and_consumer_are_bounded) {
  pthread_t producer;
  size_t before = resident_bytes();
  CHECK(pthread_create(&producer, NULL, produce, NULL) == 0);
  for (int i = 0; i < passed_blocks; i++) {
    while (!ring[i % ring_slots]) sched_yield();
    free(ring[i % ring_slots]);
    ring[i % ring_slots] = NULL;
  }
  pthread_join(producer, NULL);
  CHECK(resident_bytes() < before + (32 << 20));
}

static void* outlive_main(void* unused) {
  (void)unused;
  sleep_ms(50);
  use_malloc(10000);
  exit(0);
}

CASE(the_main_thread_may_die_first) {
  pthread_t thread;
  use_malloc(1000);
  CHECK(pthread_create(&thread, NULL, outlive_main, NULL) == 0);
  pthread_exit(NULL);
}

static void* churn_until_cancelled(void* unused) {
  for (;;) {
    use_malloc(100);
    pthread_testcancel();
  }
  return unused;
}

CASE(cancelled_threads) {
  for (int i = 0; i < 300; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, churn_until_cancelled, NULL) == 0);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
  }
  verify_engine();
}
