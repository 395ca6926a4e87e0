/* The sizes that containers ask for as they grow, one after the other. */
#ifndef BENCH_MICRO_GROWTH_PATTERNS_H
#define BENCH_MICRO_GROWTH_PATTERNS_H

#include <stddef.h>
#include <string.h>

typedef size_t (*growth_next)(size_t bytes);

/* CPython's list_resize and PyByteArray_Resize, from 3.9 on. */
static inline size_t growth_list(size_t bytes) {
  size_t items = bytes / 8 + 1;
  return ((items + (items >> 3) + 6) & ~(size_t)3) * 8;
}

static inline size_t growth_bytearray(size_t bytes) {
  size_t wanted = bytes + 1;
  return wanted + (wanted >> 3) + (wanted < 9 ? 3 : 6);
}

static inline size_t growth_str(size_t bytes) { return bytes + 40; }
static inline size_t growth_by128(size_t bytes) { return bytes + 128; }
static inline size_t growth_quarter(size_t bytes) { return bytes < 64 ? 64 : bytes + bytes / 4; }

/* The pattern of a name, or NULL. */
static inline growth_next growth_pattern(const char* name) {
  if (strcmp(name, "list") == 0) return growth_list;
  if (strcmp(name, "bytearray") == 0) return growth_bytearray;
  if (strcmp(name, "str") == 0) return growth_str;
  if (strcmp(name, "by128") == 0) return growth_by128;
  if (strcmp(name, "quarter") == 0) return growth_quarter;
  return NULL;
}

#endif
