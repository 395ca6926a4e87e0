/* The collected heap from C: records of declared types, linked by references, freed by a
 * collector that runs beside the program. References have 32 bits, and reach 64 GiB of records. In
 * files that define TRIMALLOC_WIDE_REFERENCES before they include this, they have 64; see below.
 *
 *     trimalloc_heap *heap = trimalloc_heap_create(NULL);
 *     const uint32_t references[] = {offsetof(struct node, left), offsetof(struct node, right)};
 *     trimalloc_type node = trimalloc_type_create(heap, sizeof(struct node), references, 2);
 *
 *     trimalloc_access access;
 *     trimalloc_enter(heap, &access);
 *     trimalloc_ref top = trimalloc_new(&access, node);          zeroed; 0 when there is no memory
 *     trimalloc_root root = trimalloc_root_add(&access, top);    what is to survive
 *     struct node *n = trimalloc_at(&access, top);
 *     trimalloc_store(&access, &n->left, trimalloc_new(&access, node));
 *     trimalloc_leave(&access);
 *
 * Four rules:
 *   1. References are stored by trimalloc_store and nothing else, memcpy included.
 *   2. What is neither reachable from a root nor made since the last call that may collect can be
 *      gone. Calls that may collect: trimalloc_new and its like, trimalloc_poll, trimalloc_collect,
 *      in a heap that Python uses too also trimalloc_free_record. So what a function holds in local
 *      variables goes onto a stack of roots before such a call.
 *   3. Records stay where they are: pointers into them are good as long as the record lives.
 *   4. Between trimalloc_enter and trimalloc_leave the collector cannot begin or end, and nobody else
 *      who needs that can go on: no waiting there, for locks, files or other threads, no fork, and in
 *      long loops without allocation a trimalloc_poll. A thread enters a heap once at a time; all that
 *      takes an access is for the thread that entered.
 *
 * Link with libtrimalloc_heap.so; Python says where header and library are:
 *
 *     cc program.c -I"$(python -c 'import trimalloc; print(trimalloc.get_include())')" \
 *        "$(python -c 'import trimalloc; print(trimalloc.heap_library_path())')"
 *
 * For references of 64 bits:
 *
 *     cc -DTRIMALLOC_WIDE_REFERENCES program.c -I... \
 *        "$(python -c 'import trimalloc; print(trimalloc.heap_library_path(references=64))')"
 *
 * All is the same then, but that a trimalloc_ref takes 8 bytes. Under the names of this file are the
 * functions of that library, which have names of their own (trimalloc/wide_names.h): a heap belongs to
 * the functions of its width, and a program that has both widths has them in different files.
 *
 * The library has nothing to do with malloc. The short functions are inline and exported as well, for
 * callers that cannot read this file. Functions that fail set errno; none prints or ends the program,
 * but for damage that they find. C11 or C++11, with GCC's or Clang's __atomic functions. */
#ifndef TRIMALLOC_HEAP_H
#define TRIMALLOC_HEAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef TRIMALLOC_WIDE_REFERENCES
#include "trimalloc/wide_names.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Changes with the layout of what inline functions look into: program and library must agree. */
#define TRIMALLOC_HEAP_ABI 1

/* A record: the number of the 16-byte granule at which it begins. 0: none. */
#ifdef TRIMALLOC_WIDE_REFERENCES
typedef uint64_t trimalloc_ref;
#else
typedef uint32_t trimalloc_ref;
#endif
/* A record type of one heap. 0: none. */
typedef uint32_t trimalloc_type;
typedef uint32_t trimalloc_root;
typedef uint32_t trimalloc_weak;
#define TRIMALLOC_NO_ROOT UINT32_MAX
#define TRIMALLOC_NO_WEAK UINT32_MAX

typedef struct trimalloc_heap trimalloc_heap;

/* --- heaps -------------------------------------------------------------------------------------- */

typedef struct trimalloc_heap_options {
  uint32_t struct_size;
  uint32_t processors;  /* caches that threads share; 0: as many as CPUs */
  int32_t gc_percent;   /* growth over what was live that begins a collection; negative: none does */
  int32_t checked;      /* 1: dead records are overwritten */
  uint64_t limit_bytes; /* beyond it allocation gives 0; 0: none */
  uint64_t markers;     /* threads that mark, at most 16; 0: as the work deserves */
} trimalloc_heap_options;
#define TRIMALLOC_HEAP_OPTIONS {sizeof(trimalloc_heap_options), 0, 100, 0, 0, 0}

/* Bytes, unless the name says otherwise. */
typedef struct trimalloc_heap_stats {
  uint32_t struct_size;
  uint32_t processors;
  uint64_t heap;             /* in records: what the last collection left, and what was taken since */
  uint64_t goal;             /* at this size the next collection is to have ended */
  uint64_t allocated;        /* ever */
  uint64_t spans;            /* pages that hold records */
  uint64_t large;            /* pages of root stacks, and what is kept of weak references */
  uint64_t free_resident;    /* free pages that still have memory behind them */
  uint64_t free_released;    /* free pages given back, or never touched */
  uint64_t metadata;         /* the heap's own tables */
  uint64_t peak_resident;    /* the most there was */
  uint64_t limit;            /* 0: none */
  uint64_t cycles;           /* collections that have ended, a count */
  uint64_t marked_records;   /* records with references that the last one scanned, a count */
  uint64_t mark_ns;          /* how long the last one took */
  uint64_t sweep_ns;
  uint64_t longest_stop_ns;  /* how long calls had to wait for the collector: once at most, in all */
  uint64_t total_stop_ns;
  uint64_t median_stop_ns;   /* of all so far, as is the next one; at most an eighth too long */
  uint64_t p99_stop_ns;
} trimalloc_heap_stats;

/* A heap in an address range of its own; `options` may be NULL. NULL: ENOMEM, no address space;
 * EINVAL, bad options; EPROTO, the library is of another version than this header. */
inline trimalloc_heap *trimalloc_heap_create(const trimalloc_heap_options *options);
trimalloc_heap *trimalloc_heap_create_abi(
    uint32_t abi, const trimalloc_heap_options *options);
/* Gives everything back. No thread is inside, and none comes. */
void trimalloc_heap_destroy(trimalloc_heap *heap);

/* Functions that take a heap, and not an access, are for threads that have not entered it. */

/* A type of records of `bytes` (1 to 65536), of which those at `offsets` (multiples of
 * sizeof(trimalloc_ref), in any order) are references; at most 16 groups of neighbours. A heap has at
 * most 253. 0: EINVAL; ENOSPC, too many; ENOMEM. */
trimalloc_type trimalloc_type_create(
    trimalloc_heap *heap, uint32_t bytes, const uint32_t *offsets, uint32_t count);

/* Fills `stats`, whose struct_size the caller has set. 0, or -1 with EINVAL. Stops nobody. */
int trimalloc_heap_get_stats(trimalloc_heap *heap,
                                                   trimalloc_heap_stats *stats);
/* As the options of the same names; from now on. */
void trimalloc_heap_set_gc_percent(trimalloc_heap *heap, int32_t percent);
void trimalloc_heap_set_limit(trimalloc_heap *heap, uint64_t bytes);
/* Gives free pages back to the system; returns the bytes. */
size_t trimalloc_heap_release(trimalloc_heap *heap);
/* Collects, then takes all that lives as permanent: no collection marks or touches it again, and
 * forked children share its pages. */
void trimalloc_heap_freeze(trimalloc_heap *heap);
/* Checks every structure; one that is broken ends the program. 0; -1, EBADMSG: references in the file
 * that it was opened from lead nowhere. */
int trimalloc_heap_verify(trimalloc_heap *heap);
/* For tests: a collection wherever there may be one. */
void trimalloc_heap_collect_always(trimalloc_heap *heap, int always);

/* A heap that Python has made: `address` is the number that its attribute `address` gives, and nothing
 * else. The Python object is to be held for as long as the heap is used. Records are exchanged as
 * references, heap.to_reference and heap.from_reference; heap.c_layout says of what type a class's
 * records are and where its fields lie. What is inside a heap does not touch Python: no GIL is asked
 * for between trimalloc_enter and trimalloc_leave. NULL: EINVAL, nothing; EPROTO, the library is of
 * another version than the Python package or this header, or the heap's references are of the other
 * width. */
inline trimalloc_heap *trimalloc_heap_at(uintptr_t address);
trimalloc_heap *trimalloc_heap_at_abi(uint32_t abi, uintptr_t address);

/* --- files --------------------------------------------------------------------------------------- */

/* Collects, then writes all that lives to a file that is open for reading and writing, and empty. The
 * references on the stack `roots` (or NULL) are what is to be found again; nobody changes it
 * meanwhile. `text` is the program's: which types there are, for instance. 0, or -1 with the system's
 * errno. */
struct trimalloc_stack;
int trimalloc_heap_save(trimalloc_heap *heap, int file, const struct trimalloc_stack *roots,
                        const void *text, size_t text_bytes);

/* By default the file is mapped read only, shared by all processes that do. */
#define TRIMALLOC_OPEN_PRIVATE 1u /* copy on write: records can be changed, the file stays as it is */
#define TRIMALLOC_OPEN_VERIFY 2u  /* reads and sums everything, not only the tables and the roots */
/* A heap from such a file. Its types are to be created again, in the order in which they were; then
 * records can be used. Nothing of a file that is mapped read only may be stored into. `options` may
 * be NULL. NULL: EINVAL, bad options or no saved heap; EBADMSG, a damaged one; EPROTO, one of a later
 * version or with references of the other width, or the library is of another version than this header;
 * ENOMEM; or the system's errno. */
inline trimalloc_heap *trimalloc_heap_open(
    int file, uint32_t how, const trimalloc_heap_options *options);
trimalloc_heap *trimalloc_heap_open_abi(
    uint32_t abi, int file, uint32_t how, const trimalloc_heap_options *options);
/* What a heap that was opened had as roots, in order, and as text; of others, nothing. */
size_t trimalloc_heap_saved_count(trimalloc_heap *heap);
trimalloc_ref trimalloc_heap_saved_root(trimalloc_heap *heap, size_t index);
const void *trimalloc_heap_saved_text(trimalloc_heap *heap, size_t *bytes);

/* --- being inside ------------------------------------------------------------------------------- */

/* Neighbouring free places of one type. */
struct trimalloc_run {
  trimalloc_ref next;
  trimalloc_ref end;
  uint32_t slot;
  trimalloc_ref searched;
  void *span;
};

/* What a store has to do beside: nothing; to hand over what it overwrites, while the collector marks;
 * more. */
#define TRIMALLOC_NOTHING_WATCHED 0u
#define TRIMALLOC_OVERWRITTEN_WATCHED 1u
#define TRIMALLOC_ALL_WATCHED 2u

/* The right to use a heap, from trimalloc_enter to trimalloc_leave. Its fields are the library's. */
typedef struct trimalloc_access {
  void *held[2];
  char *base;
  struct trimalloc_run *runs;
  const uint32_t *stopping;
  uint32_t barrier;
} trimalloc_access;

void trimalloc_enter(trimalloc_heap *heap, trimalloc_access *access);
void trimalloc_leave(trimalloc_access *access);
/* Lets the collector begin or end, if it wants to. */
inline void trimalloc_poll(trimalloc_access *access);
/* A whole collection, here and now. */
void trimalloc_collect(trimalloc_access *access);

/* --- records ------------------------------------------------------------------------------------ */

/* A record, all zero; 0 when there is no memory or the limit is reached. */
inline trimalloc_ref trimalloc_new(trimalloc_access *access, trimalloc_type type);
/* Where a record lies, on a boundary of 16 bytes, and which lies there. */
inline void *trimalloc_at(const trimalloc_access *access, trimalloc_ref record);
inline trimalloc_ref trimalloc_ref_to(const trimalloc_access *access, const void *record);

inline trimalloc_ref trimalloc_load(const trimalloc_ref *slot);
/* `slot` lies in a live record, or in an array of references. */
inline void trimalloc_store(trimalloc_access *access, trimalloc_ref *slot, trimalloc_ref value);

/* Arrays are records of no type: of references, or of bytes that the collector does not look into.
 * Zeroed; 0 when there is no memory. */
trimalloc_ref trimalloc_new_refs(trimalloc_access *access, uint32_t length);
trimalloc_ref trimalloc_new_bytes(trimalloc_access *access, uint32_t length);
inline uint32_t trimalloc_array_length(const trimalloc_access *access, trimalloc_ref array);
inline trimalloc_ref *trimalloc_array_refs(const trimalloc_access *access, trimalloc_ref array);
inline void *trimalloc_array_bytes(const trimalloc_access *access, trimalloc_ref array);

/* The type of a live record; 0 for an array, and for any number that names no live record, which a
 * reference from elsewhere may be. Places that are ready for the next records count as live. */
trimalloc_type trimalloc_type_of(const trimalloc_access *access, trimalloc_ref record);
/* Whether a record or an array lives there; for any number. */
int trimalloc_is_live(const trimalloc_access *access, trimalloc_ref record);

/* Frees a record now. 0: it was not live. No reference to it may be followed from then on. While
 * Python reads or writes a column of this heap it waits, and may collect meanwhile; should there be
 * no memory then to keep the record for so long, it does nothing, and errno is ENOMEM. */
int trimalloc_free_record(trimalloc_access *access, trimalloc_ref record);

/* --- roots -------------------------------------------------------------------------------------- */

/* Single roots; TRIMALLOC_NO_ROOT when there is no memory. */
trimalloc_root trimalloc_root_add(trimalloc_access *access,
                                                        trimalloc_ref record);
trimalloc_ref trimalloc_root_get(const trimalloc_access *access,
                                                       trimalloc_root root);
void trimalloc_root_set(trimalloc_access *access, trimalloc_root root,
                                              trimalloc_ref record);
void trimalloc_root_remove(trimalloc_access *access, trimalloc_root root);

/* Roots that come and go in last-in-first-out order: what functions hold while they allocate. Only
 * one thread uses a stack at a time. */
typedef struct trimalloc_stack {
  void *held[3];
  trimalloc_ref *slots;
  size_t count;
  size_t capacity;
} trimalloc_stack;

/* NULL: ENOMEM. */
trimalloc_stack *trimalloc_stack_create(trimalloc_access *access,
                                                              size_t capacity);
void trimalloc_stack_destroy(trimalloc_access *access,
                                                   trimalloc_stack *stack);
/* 0: the stack is full. The access is what says that the world does not stop in the middle. */
inline int trimalloc_push(trimalloc_access *access, trimalloc_stack *stack, trimalloc_ref record);
/* Takes the last `count` off. */
inline void trimalloc_pop(trimalloc_access *access, trimalloc_stack *stack, size_t count);

/* --- weak references ---------------------------------------------------------------------------- */

/* Names a live record without keeping it; TRIMALLOC_NO_WEAK when there is no memory. */
trimalloc_weak trimalloc_weak_add(trimalloc_access *access,
                                                        trimalloc_ref record);
/* The record, or 0 when it is gone. */
trimalloc_ref trimalloc_weak_load(trimalloc_access *access,
                                                        trimalloc_weak weak);
void trimalloc_weak_remove(trimalloc_access *access, trimalloc_weak weak);

/* --- what has been reclaimed -------------------------------------------------------------------- */

/* From now on, or no longer, copies are kept of the records of a type that the collector frees, until
 * they are taken. Not of those that are freed by hand. 0, or -1: EINVAL, no such type; ENOMEM. */
int trimalloc_watch_reclaims(trimalloc_heap *heap, trimalloc_type type, int watch);
/* The oldest copy, as long as a record is; references in it lead nowhere. 0: there is none. */
int trimalloc_take_reclaimed(trimalloc_access *access, trimalloc_type type, void *copy);

/* --- regions ------------------------------------------------------------------------------------- */

/* Records that are freed together. A region lies where its user puts it, keeps its records until it
 * ends, and is for one thread at a time. Its fields are the library's. */
typedef struct trimalloc_region {
  void *held[32];
} trimalloc_region;

void trimalloc_region_begin(trimalloc_access *access, trimalloc_region *region);
/* 0: no memory; the record is left to the collector. */
int trimalloc_region_add(trimalloc_access *access, trimalloc_region *region, trimalloc_ref record);
/* Takes a record out again; 0: it is not in the region. */
int trimalloc_region_keep(trimalloc_access *access, trimalloc_region *region, trimalloc_ref record);
/* Frees all of its records, whatever refers to them; returns how many. Lets the collector in. */
size_t trimalloc_region_end(trimalloc_access *access, trimalloc_region *region);

/* --- walks --------------------------------------------------------------------------------------- */

typedef enum trimalloc_order {
  TRIMALLOC_BREADTH_FIRST = 0,
  TRIMALLOC_DEPTH_FIRST = 1,
  TRIMALLOC_TOPOLOGICAL = 2 /* each record before all that it leads to */
} trimalloc_order;
/* Anything but 0 ends the walk. `depth` is the number of steps from a start; 0 in topological order.
 * What is called may do all that a thread inside may. */
typedef int (*trimalloc_visitor)(
    void *context, trimalloc_access *access, trimalloc_ref record, uint32_t depth);
/* Goes from `starts` along all references, through arrays, and calls `visit` (or NULL) for each record
 * that it reaches, once. What it has reached stays until it ends. Lets the collector in. How many
 * were reached; -1: ENOMEM; EINVAL, a start is no live record; ELOOP, in topological order: there is
 * a cycle. */
int64_t trimalloc_walk(trimalloc_access *access, trimalloc_order order, const trimalloc_ref *starts,
                       size_t count, trimalloc_visitor visit, void *context);

/* --- what inline functions call ----------------------------------------------------------------- */

trimalloc_ref trimalloc_new_slow(trimalloc_access *access,
                                                       trimalloc_type type);
void trimalloc_store_slow(trimalloc_access *access, trimalloc_ref *slot,
                                                trimalloc_ref value);
void trimalloc_poll_slow(trimalloc_access *access);

inline trimalloc_heap *trimalloc_heap_create(const trimalloc_heap_options *options) {
  return trimalloc_heap_create_abi(TRIMALLOC_HEAP_ABI, options);
}

inline trimalloc_heap *trimalloc_heap_at(uintptr_t address) {
  return trimalloc_heap_at_abi(TRIMALLOC_HEAP_ABI, address);
}

inline trimalloc_heap *trimalloc_heap_open(
    int file, uint32_t how, const trimalloc_heap_options *options) {
  return trimalloc_heap_open_abi(TRIMALLOC_HEAP_ABI, file, how, options);
}

inline void trimalloc_poll(trimalloc_access *access) {
  if (__builtin_expect(__atomic_load_n(access->stopping, __ATOMIC_RELAXED) != 0, 0)) {
    trimalloc_poll_slow(access);
  }
}

inline trimalloc_ref trimalloc_new(trimalloc_access *access, trimalloc_type type) {
  struct trimalloc_run *run = access->runs + type;
  trimalloc_ref record = run->next;
  if (__builtin_expect(record == run->end, 0)) return trimalloc_new_slow(access, type);
  run->next = record + run->slot;
  return record;
}

inline void *trimalloc_at(const trimalloc_access *access, trimalloc_ref record) {
  return access->base + ((size_t)record << 4);
}

inline trimalloc_ref trimalloc_ref_to(const trimalloc_access *access, const void *record) {
  return (trimalloc_ref)((size_t)((const char *)record - access->base) >> 4);
}

inline trimalloc_ref trimalloc_load(const trimalloc_ref *slot) {
  return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

inline void trimalloc_store(trimalloc_access *access, trimalloc_ref *slot, trimalloc_ref value) {
  if (__builtin_expect(access->barrier != TRIMALLOC_NOTHING_WATCHED, 0) &&
      (access->barrier != TRIMALLOC_OVERWRITTEN_WATCHED ||
       __atomic_load_n(slot, __ATOMIC_RELAXED) != 0)) {
    trimalloc_store_slow(access, slot, value);
  } else {
    __atomic_store_n(slot, value, __ATOMIC_RELEASE);
  }
}

inline uint32_t trimalloc_array_length(const trimalloc_access *access, trimalloc_ref array) {
  return *(const uint32_t *)trimalloc_at(access, array);
}

inline trimalloc_ref *trimalloc_array_refs(const trimalloc_access *access, trimalloc_ref array) {
  return (trimalloc_ref *)((char *)trimalloc_at(access, array) + 8);
}

inline void *trimalloc_array_bytes(const trimalloc_access *access, trimalloc_ref array) {
  return (char *)trimalloc_at(access, array) + 8;
}

inline int trimalloc_push(trimalloc_access *access, trimalloc_stack *stack, trimalloc_ref record) {
  (void)access;
  if (__builtin_expect(stack->count == stack->capacity, 0)) return 0;
  stack->slots[stack->count] = record;
  ++stack->count;
  return 1;
}

inline void trimalloc_pop(trimalloc_access *access, trimalloc_stack *stack, size_t count) {
  (void)access;
  stack->count -= count;
}

#ifdef __cplusplus
}
#endif
#endif
