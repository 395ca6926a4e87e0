/* The public C interface of trimalloc's malloc. (Collected heaps have theirs in heap.h.)
 *
 * Two libraries offer it. libtrimalloc.so is preloaded and *is* the process's malloc; the Python
 * extension carries an engine of its own for processes that were started without it. A program
 * finds the preloaded one with
 *
 *     const trimalloc_api *(*get)(void) = dlsym(RTLD_DEFAULT, "trimalloc_get_api");
 *
 * and falls back to the standard functions where that is NULL. Every function may be called from
 * any thread. None allocates through itself, none touches errno unless its comment says so.
 *
 * Compatibility: fields are only ever appended; `abi_version` changes when one is removed or
 * changes its meaning, `struct_size` when one is added. */
#ifndef TRIMALLOC_TRIMALLOC_H
#define TRIMALLOC_TRIMALLOC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRIMALLOC_ABI_VERSION 1
#define TRIMALLOC_SIZE_CLASSES 88 /* class 0 is "large" */

/* One size class: its geometry, and where its objects are now. Counts are objects, not bytes. */
typedef struct trimalloc_class_stats {
  uint32_t object_bytes;     /* what an object of this class occupies; 0 for class 0 */
  uint32_t span_pages;       /* pages of 8 KiB that a span of this class has */
  uint32_t span_objects;     /* objects cut from one span */
  uint32_t batch_objects;    /* objects that move between tiers at a time */
  uint64_t spans;            /* spans that the class holds now */
  uint64_t in_use;           /* objects that the program holds */
  uint64_t thread_cached;    /* objects free in thread caches */
  uint64_t transfer_cached;  /* objects free in the transfer cache */
  uint64_t central_free;     /* objects free in the class's spans */
  uint64_t requested_bytes;  /* sum of the sizes asked for by the requests that reached the slow path */
  uint64_t requested_count;  /* how many those were: their mean estimates what rounding up costs */
  uint64_t refills;          /* batches fetched by thread caches since the start */
  uint64_t flushes;          /* batches given back by thread caches since the start */
  uint64_t span_fetches;     /* spans taken from the page heap since the start */
} trimalloc_class_stats;

/* Where the memory is, tier by tier. Bytes, unless the name says otherwise. Every byte of
 * `committed` is in exactly one of: small_in_use, large_in_use, thread_cached, transfer_cached,
 * central_free, span_tail, page_heap_resident, page_heap_released. */
typedef struct trimalloc_stats {
  uint32_t abi_version;
  uint32_t struct_size;
  uint64_t reserved;           /* address range of the arena, not memory */
  uint64_t committed;          /* pages of the arena ever handed out by the OS */
  uint64_t small_in_use;       /* objects of size classes held by the program, rounded sizes */
  uint64_t large_in_use;       /* large objects held by the program, rounded to pages */
  uint64_t large_requested;    /* what the program asked for in those large objects */
  uint64_t large_objects;      /* how many large objects, a count */
  uint64_t thread_cached;
  uint64_t transfer_cached;
  uint64_t central_free;
  uint64_t span_tail;          /* ends of spans too short for one more object */
  uint64_t span_holes;         /* of the last two: given back to the OS, page by page */
  uint64_t page_heap_resident; /* free pages that still have memory behind them */
  uint64_t page_heap_released; /* free pages given back to the OS, or never touched */
  uint64_t metadata;           /* the allocator's own structures, resident */
  uint64_t thread_caches;      /* how many thread caches exist, a count */
  uint64_t limit;              /* hard limit, 0 when none */
  uint64_t soft_limit;         /* where eager release and pressure begin, 0 when none */
  uint64_t peak_resident;      /* highest arena residency seen at the page heap */
  uint64_t commits;            /* times the arena grew, a count since the start */
  uint64_t releases;           /* madvise calls that gave pages back, a count since the start */
  uint64_t released_bytes;     /* bytes given back since the start */
  uint64_t large_allocations;  /* counts since the start */
  uint64_t large_frees;
  uint64_t remapped_bytes;     /* moved by remapping pages in realloc, since the start */
  uint64_t idle_drains;        /* caches of idle threads emptied, a count since the start */
  uint64_t pressure_events;    /* times the soft limit was met, a count since the start */
  uint64_t limit_failures;     /* requests refused at the hard limit, a count since the start */
  uint64_t scavenger_running;  /* 1 while the background thread exists */
  uint64_t huge_pages;         /* made of what was dense, a count since the start */
  uint64_t caches_by_processor; /* 1 when `thread_caches` belong to processors, not to threads */
  trimalloc_class_stats classes[TRIMALLOC_SIZE_CLASSES];
  uint64_t metadata_begin;     /* addresses: the whole reserved range is [metadata_begin, arena_end), */
  uint64_t arena_begin;        /* metadata below arena_begin, blocks from there on */
  uint64_t arena_end;
} trimalloc_stats;

/* A pool of equal blocks, cut from big chunks. Any thread may take and give. */
typedef struct trimalloc_pool trimalloc_pool;

typedef struct trimalloc_pool_options {
  uint32_t struct_size;
  size_t block_bytes; /* at least 1; blocks lie at multiples of `alignment` */
  size_t alignment;   /* a power of two; 0 means 64 */
  size_t chunk_bytes; /* what is taken from the page heap at a time; at least a block. 0: 1 MiB */
  size_t limit_bytes; /* of chunks; at least one chunk. 0: none */
} trimalloc_pool_options;

/* Blocks, unless the name says otherwise. */
typedef struct trimalloc_pool_stats {
  uint32_t struct_size;
  uint64_t taken;           /* now in use */
  uint64_t free;            /* could be taken without a new chunk */
  uint64_t most_out;        /* that were out of the chunks at once: in use, or kept for a processor */
  uint64_t block_bytes;     /* what a block occupies: rounded to the alignment */
  uint64_t chunks;          /* how many there are now */
  uint64_t chunk_bytes;     /* of each */
  uint64_t chunk_blocks;    /* in each */
  uint64_t chunks_made;     /* since the start */
  uint64_t chunks_returned; /* given back to the page heap since the start */
} trimalloc_pool_stats;

typedef struct trimalloc_api {
  uint32_t abi_version;
  uint32_t struct_size;

  /* The standard functions of this engine, with errno set as malloc(3) says. */
  void *(*allocate)(size_t bytes);
  void *(*allocate_zeroed)(size_t count, size_t bytes);
  void *(*allocate_aligned)(size_t alignment, size_t bytes); /* alignment: a power of two */
  void *(*reallocate)(void *block, size_t bytes);
  void (*deallocate)(void *block);
  size_t (*usable_bytes)(const void *block);
  int (*owns)(const void *block); /* 1 when the address lies in this engine's arena */

  /* Gives every free page back to the OS now, after emptying the transfer cache and the caches of
   * the calling thread and of idle threads. Returns the bytes given back. */
  size_t (*release)(void);

  /* Fills `out`, whose struct_size the caller has set. Returns 0, or -1 when the versions differ. */
  int (*stats)(trimalloc_stats *out);

  /* The same for another process of the same user, without stopping it. Returns 0, or an errno
   * value: ESRCH no such process, EPERM not allowed to read it, ENOENT it runs without
   * libtrimalloc.so, EPROTO it runs another version. */
  int (*stats_of)(int pid, trimalloc_stats *out);

  /* Limits on the arena's resident bytes; 0 means none. `soft` 0 with a hard limit: 7/8 of it.
   * Returns 0, or EINVAL when soft > hard. */
  int (*set_limit)(size_t hard_bytes, size_t soft_bytes);

  /* Called once each time residency crosses the soft limit, from whichever thread crossed it, with
   * no lock held, inside its call of malloc: it must only leave a note and return. NULL removes. */
  void (*set_pressure_hook)(void (*hook)(void *context), void *context);

  /* Settings by the names that the environment has, without the TRIMALLOC_ prefix and in lower
   * case ("release_delay_ms"). `get_setting` writes a NUL-ended text and returns its length, or -1
   * for an unknown name. `set_setting` returns 0, ENOENT for an unknown name, EINVAL for a bad
   * value, EACCES for one that can only be given at start. `setting_name` lists: NULL at the end. */
  int (*get_setting)(const char *name, char *text, size_t text_bytes);
  int (*set_setting)(const char *name, const char *text);
  const char *(*setting_name)(unsigned index);
  const char *(*setting_help)(unsigned index);

  /* 1 when this engine is the process's malloc, 0 when it serves only explicit callers. */
  int (*is_preloaded)(void);
  /* "full", "arena" or "malloc": which CPython allocators were hooked; "library" without preload. */
  const char *(*mode)(void);

  /* Checks every structure of the engine; returns 0, or aborts with one line naming what is broken.
   * Takes every lock: for tests. */
  int (*verify)(void);

  /* Pools. `pool_create` returns NULL with errno EINVAL or ENOMEM. `pool_destroy` takes every block
   * with it; no other thread may be in a call on the pool. `pool_take` returns NULL with errno ENOMEM
   * at the limit or when there is no memory; a block's bytes are what they happen to be.
   * `pool_take_within` waits for at most so many milliseconds for a block to be given, less when a
   * signal comes. A block that is given twice, or to the wrong pool, stops the program when that is
   * noticed. `pool_trim` gives what is free back to the page heap now (it goes by itself once it was
   * idle for a moment) and returns its bytes. `pool_read_stats` returns 0, or -1 for another
   * struct_size. */
  trimalloc_pool *(*pool_create)(const trimalloc_pool_options *options);
  void (*pool_destroy)(trimalloc_pool *pool);
  void *(*pool_take)(trimalloc_pool *pool);
  void *(*pool_take_within)(trimalloc_pool *pool, uint32_t ms);
  void (*pool_give)(trimalloc_pool *pool, void *block);
  size_t (*pool_trim)(trimalloc_pool *pool);
  int (*pool_read_stats)(trimalloc_pool *pool, trimalloc_pool_stats *out);
} trimalloc_api;

/* Exported by libtrimalloc.so. */
const trimalloc_api *trimalloc_get_api(void);

#ifdef __cplusplus
}
#endif
#endif
