/* A library that works in a heap of Python's: each call is a whole stay inside, without the GIL. */
#include "trimalloc/heap.h"

/* As heap.c_layout prints it, for the class of the test. */
#ifdef TRIMALLOC_WIDE_REFERENCES
struct Link {
  trimalloc_ref next;
  int64_t number;
};
#else
struct Link {
  trimalloc_ref next;
  uint8_t filler_4[4];
  int64_t number;
};
#endif

/* Hangs `length` fresh links behind `top`, `rounds` times over. How many there was memory for. */
int hang_links(uintptr_t address, trimalloc_type type, trimalloc_ref top, int length, int rounds) {
  trimalloc_heap* heap = trimalloc_heap_at(address);
  if (heap == NULL) return -1;
  trimalloc_access access;
  int made = 0;
  trimalloc_enter(heap, &access);
  for (int round = 0; round < rounds; ++round) {
    trimalloc_ref at = top;
    for (int i = 0; i < length; ++i, ++made) {
      trimalloc_ref fresh = trimalloc_new(&access, type);
      if (fresh == 0) break;
      ((struct Link*)trimalloc_at(&access, fresh))->number = i;
      trimalloc_store(&access, &((struct Link*)trimalloc_at(&access, at))->next, fresh);
      at = fresh;
    }
    if (round % 100 == 0) trimalloc_collect(&access);
  }
  trimalloc_leave(&access);
  return made;
}
