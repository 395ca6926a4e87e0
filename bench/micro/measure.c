/* The clock, the repetitions and the result line of every micro program; see measure.h. */
#define _GNU_SOURCE
#include "measure.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One repetition lasts at least this long: a thousand times what reading the clock and one
 * interrupt cost. */
static const double kRepetitionNs = 15e6;

/* All repetitions together last at most about this long; never fewer than three. */
static const double kRowNs = 1.5e9;

enum { kRepetitionsMax = 9, kRepetitionsMin = 3, kMetricsMax = 16, kPageBytes = 4096 };

static struct {
  const char* name;
  double value;
} metrics[kMetricsMax];
static int metric_count;

/* Set by the body during one repetition: see measure_exclude_ns. */
static double excluded_ns;

void measure_exclude_ns(double ns) { excluded_ns += ns; }

double measure_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

long measure_status_kib(const char* field) {
  char text[4096];
  int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return -1;
  text[length] = '\0';
  const char* found = strstr(text, field);
  return found == NULL ? -1 : strtol(found + strlen(field), NULL, 10);
}

void measure_sleep_ms(long milliseconds) {
  struct timespec pause = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
  nanosleep(&pause, NULL);
}

uint64_t measure_random(uint64_t* state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C(2685821657736338717);
}

void measure_shuffle(uint32_t* indices, size_t count, uint64_t seed) {
  for (size_t i = 0; i < count; i++) indices[i] = (uint32_t)i;
  for (size_t i = count; i > 1; i--) {
    size_t other = measure_random(&seed) % i;
    uint32_t kept = indices[i - 1];
    indices[i - 1] = indices[other];
    indices[other] = kept;
  }
}

void measure_touch(void* block, size_t bytes) {
  volatile char* byte = block;
  for (size_t i = 0; i < bytes; i += kPageBytes) byte[i] = 1;
}

void* measure_malloc(size_t bytes) {
  void* block = malloc(bytes);
  if (block == NULL) {
    fprintf(stderr, "out of memory at %zu bytes\n", bytes);
    exit(1);
  }
  return block;
}

_Noreturn void measure_usage(const char* usage) {
  fprintf(stderr, "usage: %s\n", usage);
  exit(2);
}

long measure_argument(int argc, char** argv, int index, const char* usage) {
  if (index >= argc) measure_usage(usage);
  char* end;
  long value = strtol(argv[index], &end, 10);
  if (*end != '\0' || end == argv[index] || value < 0) measure_usage(usage);
  return value;
}

void measure_add(const char* metric, double value) {
  if (metric_count == kMetricsMax) {
    fprintf(stderr, "more than %d metrics\n", kMetricsMax);
    exit(1);
  }
  metrics[metric_count].name = metric;
  metrics[metric_count].value = value;
  metric_count++;
}

/* Each file that is mapped, once: consecutive mappings of a file follow one another. */
static void print_mapped_files(void) {
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) return;
  char line[1024];
  char last[1024] = "";
  const char* separator = "";
  while (fgets(line, sizeof line, maps) != NULL) {
    char* path = strchr(line, '/');
    if (path == NULL) continue;
    path[strcspn(path, "\n")] = '\0';
    if (strcmp(path, last) == 0) continue;
    strcpy(last, path);
    printf("%s\"%s\"", separator, path);
    separator = ", ";
  }
  fclose(maps);
}

/* The library that a call of malloc reaches. Asked of the loader at run time: the address that the
 * compiler knows may be that of a stub in the program itself. */
static const char* malloc_library(void) {
  Dl_info info;
  void* address = dlsym(RTLD_DEFAULT, "malloc");
  return address != NULL && dladdr(address, &info) != 0 ? info.dli_fname : "";
}

static void print_line(void) {
  /* Memory first: printing allocates. */
  long high_water = measure_status_kib("VmHWM:");
  long resident = measure_status_kib("VmRSS:");
  printf("{\"metrics\": {\"hwm_kib\": %ld, \"rss_kib\": %ld", high_water, resident);
  for (int i = 0; i < metric_count; i++) {
    printf(", \"%s\": %.4f", metrics[i].name, metrics[i].value);
  }
  printf("}, \"proof\": {\"malloc\": \"%s\", \"mapped\": [", malloc_library());
  print_mapped_files();
  printf("]}}\n");
}

void measure_report_only(void) { print_line(); }

static int compare_doubles(const void* left, const void* right) {
  double difference = *(const double*)left - *(const double*)right;
  return (difference > 0) - (difference < 0);
}

static double time_once(measure_body body, void* context, long iterations) {
  excluded_ns = 0;
  double start = measure_now_ns();
  body(context, iterations);
  return measure_now_ns() - start - excluded_ns;
}

/* Iterations that fill one repetition. The search also warms the allocator's caches. The faster of
 * two runs decides: one that the scheduler held up would look long enough after a few iterations,
 * and the row would measure little more than its preparations. */
static long calibrate(measure_body body, void* context) {
  for (long iterations = 1;;) {
    double taken = time_once(body, context, iterations);
    if (taken >= kRepetitionNs) {
      double again = time_once(body, context, iterations);
      if (again < taken) taken = again;
    }
    if (taken >= kRepetitionNs) return iterations;
    iterations = taken < kRepetitionNs / 16
                     ? iterations * 8
                     : (long)((double)iterations * (kRepetitionNs * 1.2 / taken)) + 1;
  }
}

void measure_and_report(measure_body body, void* context, double operations_per_iteration) {
  long iterations = calibrate(body, context);
  double operations = (double)iterations * operations_per_iteration;
  double ns[kRepetitionsMax];
  double spent = 0;
  int count = 0;
  while (count < kRepetitionsMax && (count < kRepetitionsMin || spent < kRowNs)) {
    double taken = time_once(body, context, iterations);
    spent += taken;
    ns[count++] = taken / operations;
  }
  qsort(ns, (size_t)count, sizeof ns[0], compare_doubles);
  measure_add("ns", ns[count / 2]);
  measure_add("ns_best", ns[0]);
  print_line();
}
