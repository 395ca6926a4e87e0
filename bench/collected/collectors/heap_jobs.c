/* The jobs of __main__.py on a collected heap, through the C interface. `heap_jobs JOB ...` prints
 * one line of JSON. The heap is entered once; what jobs hold is in roots. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "trimalloc/heap.h"

enum { kCollections = 5, kTrees = 1000, kKeptOf = 10, kIdleSeconds = 10, kGarbage = 32 };
static const double kNsPerSecond = 1e9;

struct record {
  int64_t value;
  trimalloc_ref a;
  trimalloc_ref b;
};
struct wide_record {
  int64_t values[2];
  trimalloc_ref a;
  trimalloc_ref b;
};

static trimalloc_heap* heap;
static trimalloc_access inside;
static trimalloc_type type;

static uint64_t clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
static uint64_t wall_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
static uint64_t cpu_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

/* The same numbers in every language. */
static uint64_t seed = 88172645463325252u;
static uint64_t next_random(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^= seed << 17;
}

static long rss_kib(void) {
  char line[256];
  long kib = 0;
  FILE* file = fopen("/proc/self/status", "r");
  if (file == NULL) abort();
  while (fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
  }
  fclose(file);
  return kib;
}

static trimalloc_heap_stats stats(void) {
  trimalloc_heap_stats read = {.struct_size = sizeof read};
  trimalloc_leave(&inside);
  if (trimalloc_heap_get_stats(heap, &read) != 0) abort();
  trimalloc_enter(heap, &inside);
  return read;
}

static struct record* at(trimalloc_ref record) { return trimalloc_at(&inside, record); }

static trimalloc_root hold(trimalloc_ref record) {
  const trimalloc_root root = trimalloc_root_add(&inside, record);
  if (record == 0 || root == TRIMALLOC_NO_ROOT) abort();
  return root;
}

/* An array of `count` records that refer to nothing. */
static trimalloc_root make_records(uint32_t count) {
  const trimalloc_root root = hold(trimalloc_new_refs(&inside, count));
  trimalloc_ref* all = trimalloc_array_refs(&inside, trimalloc_root_get(&inside, root));
  for (uint32_t i = 0; i < count; ++i) {
    const trimalloc_ref record = trimalloc_new(&inside, type);
    if (record == 0) abort();
    at(record)->value = i;
    trimalloc_store(&inside, all + i, record);
  }
  return root;
}

static void link_tree(trimalloc_ref* all, uint32_t count) {
  for (uint32_t i = 0; 2 * i + 2 < count; ++i) {
    trimalloc_store(&inside, &at(all[i])->a, all[2 * i + 1]);
    trimalloc_store(&inside, &at(all[i])->b, all[2 * i + 2]);
  }
}

static void link_random(trimalloc_ref* all, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    trimalloc_store(&inside, &at(all[i])->a, all[next_random() % count]);
    trimalloc_store(&inside, &at(all[i])->b, all[next_random() % count]);
  }
}

static void link_list(trimalloc_ref* all, uint32_t count) {
  for (uint32_t i = 0; i + 1 < count; ++i) trimalloc_store(&inside, &at(all[i])->a, all[i + 1]);
}

static void link_shuffled(trimalloc_ref* all, uint32_t count) {
  uint32_t* order = malloc(count * sizeof *order);
  if (order == NULL) abort();
  for (uint32_t i = 0; i < count; ++i) order[i] = i;
  for (uint32_t i = count - 1; i > 0; --i) {
    const uint32_t other = 1 + (uint32_t)(next_random() % i);
    const uint32_t kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
  for (uint32_t i = 0; i + 1 < count; ++i) {
    trimalloc_store(&inside, &at(all[order[i]])->a, all[order[i + 1]]);
  }
  free(order);
}

static void link_records(const char* shape, trimalloc_ref* all, uint32_t count) {
  if (strcmp(shape, "tree") == 0) link_tree(all, count);
  if (strcmp(shape, "random") == 0) link_random(all, count);
  if (strcmp(shape, "list") == 0) link_list(all, count);
  if (strcmp(shape, "shuffled") == 0) link_shuffled(all, count);
}

/* Whole collections of a graph that stays: what they find, and what one costs. */
static void mark(const char* shape, uint32_t count) {
  const trimalloc_root records = make_records(count);
  trimalloc_ref* all = trimalloc_array_refs(&inside, trimalloc_root_get(&inside, records));
  link_records(shape, all, count);
  hold(all[0]);
  trimalloc_root_remove(&inside, records);
  trimalloc_collect(&inside);
  const uint64_t cpu = cpu_ns();
  const uint64_t wall = wall_ns();
  for (int i = 0; i < kCollections; ++i) trimalloc_collect(&inside);
  printf("{\"records\": %llu, \"cpu_s\": %.6f, \"wall_s\": %.6f}\n",
         (unsigned long long)stats().marked_records,
         (double)(cpu_ns() - cpu) / kNsPerSecond / kCollections,
         (double)(wall_ns() - wall) / kNsPerSecond / kCollections);
}

/* A large tree stays while its parts are replaced one by one: how long the program stood. */
static void pauses(uint32_t count, double seconds) {
  const trimalloc_root records = make_records(count);
  trimalloc_ref* all = trimalloc_array_refs(&inside, trimalloc_root_get(&inside, records));
  link_tree(all, count);
  uint64_t steps = 0;
  uint64_t longest = 0;
  const uint64_t began = wall_ns();
  const uint64_t end = began + (uint64_t)(seconds * kNsPerSecond);
  for (uint64_t before = began; before < end; ++steps) {
    const uint64_t i = next_random() % count;
    for (int garbage = 0; garbage < kGarbage; ++garbage) trimalloc_new(&inside, type);
    const trimalloc_ref fresh = trimalloc_new(&inside, type);
    if (fresh == 0) abort();
    trimalloc_store(&inside, &at(fresh)->a, at(all[i])->a);
    trimalloc_store(&inside, &at(fresh)->b, at(all[i])->b);
    trimalloc_store(&inside, &at(all[(i - 1) / 2 % count])->a, fresh);
    trimalloc_store(&inside, all + i, fresh);
    const uint64_t now = wall_ns();
    if (now - before > longest) longest = now - before;
    before = now;
  }
  const trimalloc_heap_stats after = stats();
  printf(
      "{\"collections\": %llu, \"p50_us\": %.3f, \"p99_us\": %.3f, \"max_us\": %.3f, "
      "\"longest_step_us\": %.3f, \"step_ns\": %.3f}\n",
      (unsigned long long)after.cycles, (double)after.median_stop_ns / 1e3,
      (double)after.p99_stop_ns / 1e3, (double)after.longest_stop_ns / 1e3, (double)longest / 1e3,
      (double)(wall_ns() - began) / (double)steps);
}

/* Records of 24 bytes, each dropped when the next one is there. */
static void allocate(uint32_t count) {
  const uint64_t cpu = cpu_ns();
  const uint64_t wall = wall_ns();
  const trimalloc_root last = hold(trimalloc_new(&inside, type));
  for (uint32_t i = 0; i < count; ++i) {
    const trimalloc_ref record = trimalloc_new(&inside, type);
    if (record == 0) abort();
    if (i % 1024 == 0) trimalloc_root_set(&inside, last, record);
  }
  printf("{\"ns\": %.4f, \"cpu_ns\": %.4f, \"collections\": %llu}\n",
         (double)(wall_ns() - wall) / count, (double)(cpu_ns() - cpu) / count,
         (unsigned long long)stats().cycles);
}

/* A thousand trees of which nine in ten go: what memory is left after a while. */
static void drop(uint32_t count) {
  const long before = rss_kib();
  trimalloc_root tops[kTrees];
  for (int tree = 0; tree < kTrees; ++tree) {
    const trimalloc_root records = make_records(count / kTrees);
    trimalloc_ref* all = trimalloc_array_refs(&inside, trimalloc_root_get(&inside, records));
    link_tree(all, count / kTrees);
    tops[tree] = hold(all[0]);
    trimalloc_root_remove(&inside, records);
  }
  const long full = rss_kib();
  for (int tree = 0; tree < kTrees; ++tree) {
    if (tree % kKeptOf != 0) trimalloc_root_remove(&inside, tops[tree]);
  }
  trimalloc_collect(&inside);
  trimalloc_leave(&inside);
  sleep(kIdleSeconds);
  trimalloc_enter(heap, &inside);
  const double live = (double)(count / kKeptOf) * sizeof(struct record);
  printf("{\"full_kib\": %ld, \"rss_kib\": %ld, \"live_kib\": %.0f, \"spans_kib\": %llu}\n",
         full - before, rss_kib() - before, live / 1024, (unsigned long long)stats().spans / 1024);
}

static void start(size_t bytes, uint32_t first_reference) {
  const uint32_t references[] = {first_reference, first_reference + sizeof(trimalloc_ref)};
  heap = trimalloc_heap_create(NULL);
  if (heap != NULL) type = trimalloc_type_create(heap, (uint32_t)bytes, references, 2);
  if (type == 0) abort();
  trimalloc_enter(heap, &inside);
}

int main(int argc, char** argv) {
  const char* job = argc > 2 ? argv[1] : "";
  if (strcmp(job, "allocate") == 0) {
    start(sizeof(struct wide_record), offsetof(struct wide_record, a));
    allocate((uint32_t)atol(argv[2]));
    return 0;
  }
  start(sizeof(struct record), offsetof(struct record, a));
  if (strcmp(job, "mark") == 0 && argc == 4) {
    mark(argv[2], (uint32_t)atol(argv[3]));
  } else if (strcmp(job, "pauses") == 0 && argc == 4) {
    pauses((uint32_t)atol(argv[2]), atof(argv[3]));
  } else if (strcmp(job, "drop") == 0) {
    drop((uint32_t)atol(argv[2]));
  } else {
    fprintf(stderr, "heap_jobs: mark SHAPE N, pauses N SECONDS, allocate N or drop N\n");
    return 2;
  }
  return 0;
}
