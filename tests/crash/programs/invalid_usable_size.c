/* malloc_usable_size of addresses that are not a live block: an answer would be a lie. */
#include "misuse.h"

static char global_bytes[64];

MISUSE_AT_CALL(of_a_global, "which trimalloc did not allocate") {
  AT_CALL(OPAQUE(malloc_usable_size(OPAQUE((char*)global_bytes))));
}

MISUSE_AT_CALL(of_a_stack_address, "which trimalloc did not allocate") {
  char buffer[64];
  AT_CALL(OPAQUE(malloc_usable_size(OPAQUE((char*)buffer))));
}

MISUSE_AT_CALL(inside_a_large_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(1 << 20));
  AT_CALL(OPAQUE(malloc_usable_size(p + 8192)));
}

MISUSE_AT_CALL(of_a_freed_large_block, "double free|malloc_usable_size of 0x") {
  char* p = OPAQUE(malloc(1 << 20));
  free(p);
  AT_CALL(OPAQUE(malloc_usable_size(p)));
}
