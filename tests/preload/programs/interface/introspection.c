/* The functions that ask about the allocator, or advise it. */
#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "cases.h"

CASE(mallinfo2_follows_the_program) {
  enum { blocks = 10000, each = 1000 };
  static char* held[blocks];
  size_t before = mallinfo2().uordblks;
  for (int i = 0; i < blocks; i++) held[i] = OPAQUE(malloc(each));
  size_t during = mallinfo2().uordblks;
  CHECK(during - before >= (size_t)blocks * each);
  CHECK(during - before < (size_t)blocks * each * 5 / 4 + (4 << 20));
  for (int i = 0; i < blocks; i++) free(held[i]);
  CHECK(mallinfo2().uordblks < before + (size_t)blocks * each / 4 + (4 << 20));
}

CASE(mallinfo2_knows_large_blocks) {
  size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  char* p = OPAQUE(malloc(100 << 20));
  CHECK(mallinfo2().uordblks + mallinfo2().hblkhd - before >= 100 << 20);
  free(p);
  CHECK(mallinfo2().uordblks + mallinfo2().hblkhd < before + (10 << 20));
}

CASE(old_mallinfo_is_callable) {
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  struct mallinfo info = mallinfo();
  CHECK(info.uordblks >= 0);
}

/* The test reads standard output as XML. */
CASE(malloc_info_writes_xml) {
  char* held = OPAQUE(malloc(5000));
  CHECK(malloc_info(0, stdout) == 0);
  fflush(stdout);
  free(held);
}

CASE(malloc_info_refuses_unknown_options) {
  errno = 0;
  CHECK(malloc_info(1, stdout) == EINVAL || errno == EINVAL);
}

/* The test looks at standard error. */
CASE(malloc_stats_writes_to_stderr) {
  OPAQUE(malloc(5000));
  malloc_stats();
}

CASE(malloc_trim_says_whether_it_gave_back) {
  char* p = OPAQUE(malloc(16 << 20));
  memset(p, 1, 16 << 20);
  free(p);
  CHECK(malloc_trim(0) == 1);
  CHECK(malloc_trim(0) == 0);
}

CASE(mallopt_accepts_what_it_does_not_need) {
  CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1);
  CHECK(mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1);
  CHECK(mallopt(M_ARENA_MAX, 2) == 1);
  CHECK(mallopt(M_MXFAST, 64) == 1);
  char* p = OPAQUE(malloc(100));
  CHECK(p != NULL);
  free(p);
}

CASE(every_name_of_the_c_interface_is_exported) {
  const char* names[] = {"malloc",
                         "calloc",
                         "realloc",
                         "reallocarray",
                         "free",
                         "cfree",
                         "memalign",
                         "aligned_alloc",
                         "posix_memalign",
                         "valloc",
                         "pvalloc",
                         "malloc_usable_size",
                         "malloc_trim",
                         "mallinfo",
                         "mallinfo2",
                         "malloc_stats",
                         "malloc_info",
                         "mallopt",
                         "free_sized",
                         "free_aligned_sized",
                         "trimalloc_get_api"};
  Dl_info ours, other;
  CHECK(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &ours));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    void* found = dlsym(RTLD_DEFAULT, names[i]);
    if (!found || !dladdr(found, &other) || other.dli_fbase != ours.dli_fbase) {
      dprintf(2, "%s is not in %s\n", names[i], ours.dli_fname);
      _exit(1);
    }
  }
}

CASE(sized_frees_free) {
  void (*free_sized)(void*, size_t) = (void (*)(void*, size_t))dlsym(RTLD_DEFAULT, "free_sized");
  void (*free_aligned_sized)(void*, size_t, size_t) =
      (void (*)(void*, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
  CHECK(free_sized && free_aligned_sized);
  size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 20000; i++) {
    free_sized(OPAQUE(malloc(5000)), 5000);
    free_aligned_sized(OPAQUE(aligned_alloc(256, 5120)), 256, 5120);
    free_sized(OPAQUE(malloc(1 << 20)), 1 << 20);
  }
  free_sized(NULL, 0);
  free_aligned_sized(NULL, 8, 0);
  CHECK(mallinfo2().uordblks < before + (16 << 20));
}
