// The functions that are inline in the public header, as functions of the library: for callers that
// cannot read C, and for compilers that do not inline.
#pragma GCC visibility push(default)
#include "include/trimalloc/heap.h"

extern inline trimalloc_heap* trimalloc_heap_create(const trimalloc_heap_options* options);
extern inline trimalloc_heap* trimalloc_heap_at(uintptr_t address);
extern inline trimalloc_heap* trimalloc_heap_open(int file, uint32_t how,
                                                  const trimalloc_heap_options* options);
extern inline void trimalloc_poll(trimalloc_access* access);
extern inline trimalloc_ref trimalloc_new(trimalloc_access* access, trimalloc_type type);
extern inline void* trimalloc_at(const trimalloc_access* access, trimalloc_ref record);
extern inline trimalloc_ref trimalloc_ref_to(const trimalloc_access* access, const void* record);
extern inline trimalloc_ref trimalloc_load(const trimalloc_ref* slot);
extern inline void trimalloc_store(trimalloc_access* access, trimalloc_ref* slot,
                                   trimalloc_ref value);
extern inline uint32_t trimalloc_array_length(const trimalloc_access* access, trimalloc_ref array);
extern inline trimalloc_ref* trimalloc_array_refs(const trimalloc_access* access,
                                                  trimalloc_ref array);
extern inline void* trimalloc_array_bytes(const trimalloc_access* access, trimalloc_ref array);
extern inline int trimalloc_push(trimalloc_access* access, trimalloc_stack* stack,
                                 trimalloc_ref record);
extern inline void trimalloc_pop(trimalloc_access* access, trimalloc_stack* stack, size_t count);
#pragma GCC visibility pop
