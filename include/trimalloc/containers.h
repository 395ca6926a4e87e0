/* Containers in a collected heap, from C: lists, hash maps, maps in the order of last use, tries and
 * priority queues. A container is a record: references lead to it, roots keep it, files hold it.
 *
 *     trimalloc_containers maps;
 *     trimalloc_containers_create(heap, TRIMALLOC_MAP, TRIMALLOC_BYTES, TRIMALLOC_RECORDS, &maps);
 *     ...
 *     trimalloc_ref index = trimalloc_new(&access, maps.type);     empty; put it under a root
 *     trimalloc_item key = {0}, value = {0};
 *     key.bytes = "node", key.length = 4, value.record = node;
 *     trimalloc_put(&access, &maps, index, &key, &value);
 *
 * The rules:
 *   1. All calls may collect. The container is under a root; a record that is given is kept by the
 *      call itself.
 *   2. What comes out, records and pointers to bytes, is good until the next call that may collect,
 *      or that changes the container.
 *   3. A container may be used by many threads: each call is a step of its own.
 *   4. A container is not freed by trimalloc_free_record, but cleared.
 *
 * Those of a heap that Python has made: heap.c_layout(type(index)).container has the numbers to fill a
 * trimalloc_containers with.
 *
 * All return -1 when they fail, with errno: EINVAL, what is given does not fit, the reference is none
 * of such a container, or it has no such function; EROFS, the heap is open for reading only; ENOMEM,
 * and then nothing has changed. */
#ifndef TRIMALLOC_CONTAINERS_H
#define TRIMALLOC_CONTAINERS_H

#include "trimalloc/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum trimalloc_container_kind {
  TRIMALLOC_LIST = 0,  /* keys are positions */
  TRIMALLOC_MAP = 1,   /* keys are integers or bytes */
  TRIMALLOC_LRU = 2,   /* the same; with a limit, what was used least recently goes */
  TRIMALLOC_TRIE = 3,  /* keys are bytes */
  TRIMALLOC_QUEUE = 4  /* keys are priorities: integers or reals; the least comes first */
} trimalloc_container_kind;

/* Which field of an item counts. */
typedef enum trimalloc_content {
  TRIMALLOC_INTEGERS = 0,
  TRIMALLOC_REALS = 1,
  TRIMALLOC_BYTES = 2,
  TRIMALLOC_RECORDS = 3 /* values only */
} trimalloc_content;

/* A key or a value. */
typedef struct trimalloc_item {
  int64_t integer;
  double real;
  const void *bytes;
  uint32_t length;
  trimalloc_ref record;
} trimalloc_item;

/* A type of containers, of one heap. */
typedef struct trimalloc_containers {
  trimalloc_type type;
  uint32_t kind;
  uint32_t keys;
  uint32_t values;
} trimalloc_containers;

/* Declares a type of containers, for threads that have not entered. 0; -1, too: ENOSPC, the heap has
 * too many types. */
int trimalloc_containers_create(trimalloc_heap *heap, trimalloc_container_kind kind,
                                trimalloc_content keys, trimalloc_content values,
                                trimalloc_containers *containers);

/* How many entries there are. */
int64_t trimalloc_count(trimalloc_access *access, const trimalloc_containers *containers,
                        trimalloc_ref container);
/* Makes a value the key's. 1: the key is new; 0: the value takes the place of another. A list's key is
 * a position, or how many there are; a queue has one more entry, whatever is there. */
int trimalloc_put(trimalloc_access *access, const trimalloc_containers *containers,
                  trimalloc_ref container, const trimalloc_item *key, const trimalloc_item *value);
/* The key's value. 1; 0: there is none. In an LRU it is a use. Not of queues. */
int trimalloc_get(trimalloc_access *access, const trimalloc_containers *containers,
                  trimalloc_ref container, const trimalloc_item *key, trimalloc_item *value);
/* Takes a key out. 1; 0: there is none. Of maps, LRUs, and tries. */
int trimalloc_remove(trimalloc_access *access, const trimalloc_containers *containers,
                     trimalloc_ref container, const trimalloc_item *key);
/* The entry with the least priority, the one used least recently, or a list's last; and takes it out
 * if `take` is not 0. 1; 0: there is none. Of queues, LRUs, and lists; either item may be NULL. */
int trimalloc_first(trimalloc_access *access, const trimalloc_containers *containers,
                    trimalloc_ref container, int take, trimalloc_item *key, trimalloc_item *value);
/* Of the keys that `key` begins with, the longest: its length and value. 1; 0: there is none. Of
 * tries. */
int trimalloc_longest_prefix(trimalloc_access *access, const trimalloc_containers *containers,
                             trimalloc_ref container, const trimalloc_item *key, uint32_t *length,
                             trimalloc_item *value);
/* The next entry, from `*position` 0 on, in the container's order; 1; 0: there is none. Of lists, maps
 * and LRUs, which nobody changes in between. */
int trimalloc_next(trimalloc_access *access, const trimalloc_containers *containers,
                   trimalloc_ref container, uint32_t *position, trimalloc_item *key,
                   trimalloc_item *value);
/* How many entries an LRU keeps; 0: all. */
int trimalloc_set_capacity(trimalloc_access *access, const trimalloc_containers *containers,
                           trimalloc_ref container, uint32_t entries);
/* Takes all out. */
int trimalloc_clear(trimalloc_access *access, const trimalloc_containers *containers,
                    trimalloc_ref container);

#ifdef __cplusplus
}
#endif
#endif
