/* How many bytes realloc copies while one block grows: not a time, but what a time is made of.
 *
 *   copied list|bytearray|str|by128|quarter BYTES
 *
 * An allocator says nothing about copying, so it is found out by a page: before each call the
 * block's middle page is given back to the kernel. A block that stayed where it was copied nothing.
 * In one that moved, the page is absent if the pages themselves were moved (mremap), and present if
 * its content was: reading or writing a page makes it present. The second way counts with the whole
 * former size, and so does every move of a block that is too small to have such a page. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "growth_patterns.h"
#include "measure.h"

static const char kUsage[] = "copied list|bytearray|str|by128|quarter BYTES";

/* Half a block must hold a whole page wherever it begins: the page after it is not the block's. */
enum { kBlockPagesMin = 4 };

static size_t page_bytes;
static int page_map; /* /proc/self/pagemap: eight bytes for each page, the highest bit: present */

static int is_present(const void* page) {
  uint64_t entry = 0;
  off_t at = (off_t)((uintptr_t)page / page_bytes * sizeof entry);
  if (pread(page_map, &entry, sizeof entry, at) != sizeof entry) {
    perror("/proc/self/pagemap");
    exit(1);
  }
  return (entry >> 63) != 0;
}

/* Where the middle page begins, from the block's address: the same content before and after. */
static size_t middle(const char* block, size_t bytes) {
  uintptr_t half = (uintptr_t)block + bytes / 2;
  return (half + page_bytes - 1) / page_bytes * page_bytes - (uintptr_t)block;
}

int main(int argc, char** argv) {
  if (argc != 3) measure_usage(kUsage);
  growth_next next = growth_pattern(argv[1]);
  size_t limit = (size_t)measure_argument(argc, argv, 2, kUsage);
  if (next == NULL) measure_usage(kUsage);
  page_bytes = (size_t)sysconf(_SC_PAGESIZE);
  page_map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  double copied = 0, moves = 0, remaps = 0;
  char* block = NULL;
  size_t bytes = 0;
  while (bytes < limit) {
    size_t wanted = next(bytes);
    int has_page = bytes >= kBlockPagesMin * page_bytes;
    size_t at = has_page ? middle(block, bytes) : 0;
    if (has_page && madvise(block + at, page_bytes, MADV_DONTNEED) != 0) has_page = 0;
    uintptr_t before = (uintptr_t)block;
    block = realloc(block, wanted);
    if (block == NULL) abort();
    if (before != 0 && (uintptr_t)block != before) {
      /* Pages keep their place in a block that is moved by them, so the address is whole again. */
      int remapped =
          has_page && ((uintptr_t)block + at) % page_bytes == 0 && !is_present(block + at);
      moves++;
      remaps += remapped;
      if (!remapped) copied += (double)bytes;
    }
    measure_touch(block + bytes, wanted - bytes);
    bytes = wanted;
  }
  measure_add("copied_per_final_byte", copied / (double)bytes);
  measure_add("moves", moves);
  measure_add("remaps", remaps);
  measure_report_only();
  return 0;
}
