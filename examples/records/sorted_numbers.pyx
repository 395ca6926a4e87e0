# cython: language_level=3
"""A sorted set of whole numbers in a collected heap: what a Cython extension does with one.

The tree's nodes are records of 16 bytes, linked by references; the set holds its top by a root, and
nobody frees a node. All of it runs without the GIL where the caller lets go of it.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t


cdef extern from "trimalloc/heap.h" nogil:
    ctypedef uint32_t trimalloc_ref
    ctypedef uint32_t trimalloc_type
    ctypedef uint32_t trimalloc_root
    ctypedef struct trimalloc_heap:
        pass
    ctypedef struct trimalloc_heap_options:
        pass
    ctypedef struct trimalloc_access:
        pass
    uint32_t TRIMALLOC_NO_ROOT
    trimalloc_heap *trimalloc_heap_create(const trimalloc_heap_options *options)
    void trimalloc_heap_destroy(trimalloc_heap *heap)
    trimalloc_type trimalloc_type_create(
        trimalloc_heap *heap, uint32_t size, const uint32_t *offsets, uint32_t count)
    void trimalloc_enter(trimalloc_heap *heap, trimalloc_access *access)
    void trimalloc_leave(trimalloc_access *access)
    void trimalloc_collect(trimalloc_access *access)
    trimalloc_ref trimalloc_new(trimalloc_access *access, trimalloc_type type)
    void *trimalloc_at(const trimalloc_access *access, trimalloc_ref record)
    trimalloc_ref trimalloc_load(const trimalloc_ref *slot)
    void trimalloc_store(trimalloc_access *access, trimalloc_ref *slot, trimalloc_ref value)
    trimalloc_root trimalloc_root_add(trimalloc_access *access, trimalloc_ref record)
    trimalloc_ref trimalloc_root_get(const trimalloc_access *access, trimalloc_root root)
    void trimalloc_root_set(
        trimalloc_access *access, trimalloc_root root, trimalloc_ref record)


cdef struct Node:
    trimalloc_ref left
    trimalloc_ref right
    int64_t number


cdef class SortedNumbers:
    """A set of numbers that fit 64 bits, in rising order."""

    cdef trimalloc_heap *heap
    cdef trimalloc_type node_type
    cdef trimalloc_root top

    def __cinit__(self):
        cdef uint32_t[2] references
        cdef trimalloc_access access
        references[0] = <uint32_t><size_t>&(<Node *>NULL).left
        references[1] = <uint32_t><size_t>&(<Node *>NULL).right
        self.heap = trimalloc_heap_create(NULL)
        if self.heap == NULL:
            raise MemoryError("no addresses for a heap")
        self.node_type = trimalloc_type_create(self.heap, sizeof(Node), references, 2)
        trimalloc_enter(self.heap, &access)
        self.top = trimalloc_root_add(&access, 0)
        trimalloc_leave(&access)
        if self.node_type == 0 or self.top == TRIMALLOC_NO_ROOT:
            raise MemoryError("no memory for a heap")

    def __dealloc__(self):
        if self.heap != NULL:
            trimalloc_heap_destroy(self.heap)

    def add(self, int64_t number):
        """Put a number in; whether it was not there before."""
        cdef trimalloc_access access
        cdef int made
        with nogil:
            trimalloc_enter(self.heap, &access)
            made = self._add(&access, number)
            trimalloc_leave(&access)
        if made < 0:
            raise MemoryError("no memory for a number")
        return made > 0

    cdef int _add(self, trimalloc_access *access, int64_t number) noexcept nogil:
        # First the record, which may run a collection; then the way down, with nothing in between.
        cdef trimalloc_ref fresh = trimalloc_new(access, self.node_type)
        cdef trimalloc_ref at = trimalloc_root_get(access, self.top)
        cdef Node *node
        cdef trimalloc_ref *slot
        if fresh == 0:
            return -1
        (<Node *>trimalloc_at(access, fresh)).number = number
        if at == 0:
            trimalloc_root_set(access, self.top, fresh)
            return 1
        while True:
            node = <Node *>trimalloc_at(access, at)
            if node.number == number:
                return 0  # what was made is garbage
            slot = &node.left if number < node.number else &node.right
            at = trimalloc_load(slot)
            if at == 0:
                trimalloc_store(access, slot, fresh)
                return 1

    def __contains__(self, int64_t number):
        cdef trimalloc_access access
        cdef trimalloc_ref at
        cdef Node *node
        with nogil:
            trimalloc_enter(self.heap, &access)
            at = trimalloc_root_get(&access, self.top)
            while at != 0:
                node = <Node *>trimalloc_at(&access, at)
                if node.number == number:
                    break
                at = trimalloc_load(&node.left if number < node.number else &node.right)
            trimalloc_leave(&access)
        return at != 0

    def clear(self):
        """Take all numbers out: dropping one reference is all there is to do."""
        cdef trimalloc_access access
        with nogil:
            trimalloc_enter(self.heap, &access)
            trimalloc_root_set(&access, self.top, 0)
            trimalloc_collect(&access)
            trimalloc_leave(&access)
