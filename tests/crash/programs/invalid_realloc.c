/* realloc of addresses that are not a live block. */
#include <sys/mman.h>

#include "misuse.h"

MISUSE(of_a_freed_block, "double free|realloc of 0x") {
  char* p = OPAQUE(malloc(64));
  free(p);
  AT_CALL(OPAQUE(realloc(p, 5000)));
}

MISUSE(to_zero_of_a_freed_block, "double free|realloc of 0x") {
  char* p = OPAQUE(malloc(64));
  free(p);
  AT_CALL(OPAQUE(realloc(p, 0)));
}

MISUSE_AT_CALL(of_a_freed_large_block, "double free|realloc of 0x") {
  char* p = OPAQUE(malloc(1 << 20));
  free(p);
  AT_CALL(OPAQUE(realloc(p, 2 << 20)));
}

MISUSE_AT_CALL(of_a_stack_address, "realloc of 0x[0-9a-f]+, which trimalloc did not allocate") {
  char buffer[64];
  AT_CALL(OPAQUE(realloc(OPAQUE((char*)buffer), 128)));
}

static char global_bytes[64];

MISUSE_AT_CALL(of_a_global, "realloc of 0x[0-9a-f]+, which trimalloc did not allocate") {
  AT_CALL(OPAQUE(realloc(OPAQUE((char*)global_bytes), 128)));
}

MISUSE_AT_CALL(of_a_mapping, "realloc of 0x[0-9a-f]+, which trimalloc did not allocate") {
  void* p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  AT_CALL(OPAQUE(realloc(OPAQUE(p), 2 << 20)));
}

MISUSE_AT_CALL(through_reallocarray_of_a_global,
               "realloc of 0x[0-9a-f]+, which trimalloc did not allocate") {
  AT_CALL(OPAQUE(reallocarray(OPAQUE((char*)global_bytes), 2, 64)));
}

MISUSE(inside_a_small_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(64));
  AT_CALL(OPAQUE(realloc(p + 16, 5000)));
}

MISUSE_AT_CALL(inside_a_large_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(1 << 20));
  AT_CALL(OPAQUE(realloc(p + 4096, 2 << 20)));
}
