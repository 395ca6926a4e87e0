/* Frees of addresses that are not the start of a block. */
#include <alloca.h>
#include <dlfcn.h>
#include <stdint.h>
#include <sys/mman.h>

#include "misuse.h"

MISUSE(inside_a_small_block, "which lies inside a block that starts at 0x[0-9a-f]+") {
  char* p = OPAQUE(malloc(64));
  AT_VOID_CALL(free(p + 16));
}

MISUSE(one_byte_into_a_small_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(64));
  AT_VOID_CALL(free(p + 1));
}

MISUSE(last_byte_of_a_small_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(1000));
  AT_VOID_CALL(free(p + 999));
}

/* On another page of its span than the start of the block. */
MISUSE(far_inside_a_medium_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(100000));
  AT_VOID_CALL(free(p + 65536));
}

/* An address that would be a block if it had the class of its neighbours. */
MISUSE(inside_a_block_of_an_odd_class, "which lies inside a block") {
  char* p = OPAQUE(malloc(144));
  AT_VOID_CALL(free(p + 64));
}

MISUSE_AT_CALL(one_byte_into_a_large_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(1 << 20));
  AT_VOID_CALL(free(p + 1));
}

MISUSE_AT_CALL(second_page_of_a_large_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(1 << 20));
  AT_VOID_CALL(free(p + 8192));
}

MISUSE_AT_CALL(middle_of_a_large_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(1 << 20));
  AT_VOID_CALL(free(p + (1 << 19)));
}

MISUSE_AT_CALL(last_page_of_a_large_block, "which lies inside a block") {
  char* p = OPAQUE(malloc(1 << 20));
  AT_VOID_CALL(free(p + (1 << 20) - 1));
}

/* Where a smaller alignment would have put a block. */
MISUSE(inside_a_small_aligned_block, "which lies inside a block") {
  char* p = OPAQUE(aligned_alloc(256, 1024));
  AT_VOID_CALL(free(p + 256));
}

MISUSE_AT_CALL(inside_a_large_aligned_block, "which lies inside a block") {
  char* p = OPAQUE(aligned_alloc(1 << 16, 1 << 20));
  AT_VOID_CALL(free(p + (1 << 16)));
}

MISUSE_AT_CALL(stack, "which trimalloc did not allocate") {
  char buffer[64];
  AT_VOID_CALL(free(OPAQUE((char*)buffer)));
}

MISUSE_AT_CALL(stack_from_alloca, "which trimalloc did not allocate") {
  char* p = OPAQUE((char*)alloca(256));
  AT_VOID_CALL(free(p));
}

static char global_bytes[256] = {1};
static char zeroed_bytes[4096];

MISUSE_AT_CALL(global, "which trimalloc did not allocate") {
  AT_VOID_CALL(free(OPAQUE((char*)global_bytes)));
}

MISUSE_AT_CALL(zeroed_global, "which trimalloc did not allocate") {
  AT_VOID_CALL(free(OPAQUE((char*)zeroed_bytes)));
}

MISUSE_AT_CALL(string_literal, "which trimalloc did not allocate") {
  AT_VOID_CALL(free(OPAQUE((char*)"a literal")));
}

MISUSE_AT_CALL(text, "which trimalloc did not allocate") {
  AT_VOID_CALL(free(OPAQUE((void*)(uintptr_t)&dprintf)));
}

static __thread char thread_bytes[64];

MISUSE_AT_CALL(thread_local_variable, "which trimalloc did not allocate") {
  AT_VOID_CALL(free(OPAQUE((char*)thread_bytes)));
}

MISUSE_AT_CALL(mapped_by_the_program, "which trimalloc did not allocate") {
  void* p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  AT_VOID_CALL(free(OPAQUE(p)));
}

MISUSE_AT_CALL(unmapped, "which trimalloc did not allocate") {
  char* p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK((void*)p != MAP_FAILED);
  munmap(p, 1 << 20);
  AT_VOID_CALL(free(OPAQUE(p)));
}

MISUSE_AT_CALL(tiny_number, "which trimalloc did not allocate") {
  AT_VOID_CALL(free(OPAQUE((void*)(uintptr_t)16)));
}

MISUSE_AT_CALL(highest_address, "which trimalloc did not allocate") {
  AT_VOID_CALL(free(OPAQUE((void*)~(uintptr_t)15)));
}

MISUSE_AT_CALL(noncanonical_address, "which trimalloc did not allocate") {
  AT_VOID_CALL(free(OPAQUE((void*)((uintptr_t)1 << 62))));
}

/* In the reserved range, but nothing was ever there. */
MISUSE_AT_CALL(far_above_every_block, "which trimalloc did not allocate") {
  char* p = OPAQUE(malloc(64));
  AT_VOID_CALL(free(p + ((size_t)64 << 30)));
}

/* Below the first page lie the allocator's own bitmaps. */
MISUSE_AT_CALL(far_below_every_block, "which trimalloc did not allocate") {
  char* p = OPAQUE(malloc(64));
  AT_VOID_CALL(free(p - ((size_t)4 << 30)));
}

/* A block that was never handed out: it is free, so a careful allocator may say either. */
MISUSE(block_beside_the_newest, "double free|which lies inside|which trimalloc did not allocate") {
  char* p = OPAQUE(malloc(3000));
  AT_VOID_CALL(free(p + 3072 * 3));
}

/* cfree is no longer in glibc's headers, but old programs are linked with it. */
MISUSE(through_cfree, "double free") {
  void (*old_free)(void*) = (void (*)(void*))dlsym(RTLD_DEFAULT, "cfree");
  CHECK(old_free != NULL);
  char* p = OPAQUE(malloc(64));
  old_free(p);
  AT_VOID_CALL(old_free(p));
}
