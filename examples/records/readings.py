"""Records of a Python heap in Numba: loops that read, make and link them, without the GIL.

The heap's memory is seen as arrays of numbers: a reference times 16 is where its record begins.
What a plain load cannot do, entering, making records, storing references and roots, is called
through function pointers. `python examples/records/readings.py` runs it.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numba
import numpy as np

import trimalloc

_LIBRARY = ctypes.CDLL(trimalloc.heap_library_path())
# Pointers are plain numbers to Numba.
_POINTER, _NUMBER = ctypes.c_size_t, ctypes.c_uint32


def _function(name: str, result: Any, *arguments: Any) -> Any:
    found = getattr(_LIBRARY, f"trimalloc_{name}")
    found.restype, found.argtypes = result, arguments
    return found


_heap_at = _function("heap_at", _POINTER, _POINTER)
_enter = _function("enter", None, _POINTER, _POINTER)
_leave = _function("leave", None, _POINTER)
_at = _function("at", _POINTER, _POINTER, _NUMBER)
_new = _function("new", _NUMBER, _POINTER, _NUMBER)
_store = _function("store", None, _POINTER, _POINTER, _NUMBER)
_poll = _function("poll", None, _POINTER)
_root_add = _function("root_add", _NUMBER, _POINTER, _NUMBER)
_root_get = _function("root_get", _NUMBER, _POINTER, _NUMBER)
_root_set = _function("root_set", None, _POINTER, _NUMBER, _NUMBER)
_root_remove = _function("root_remove", None, _POINTER, _NUMBER)

# A trimalloc_access is smaller. Records lie on boundaries of 16 bytes, up to 2^32 of them.
_ACCESS_WORDS = 16
_GRANULE_BYTES, _GRANULES = 16, 1 << 32
_NO_ROOT = 0xFFFFFFFF
_POLL_EVERY = 4096


class _Layout(NamedTuple):
    """What a loop has to know of the records, and of the memory in which they are."""

    type: int
    next_at: int  # in words of 4 bytes
    value_at: int  # in words of 8 bytes
    references: Any
    values: Any


@numba.njit(nogil=True)
def _total(heap, access, layout, first):
    _enter(heap, access)
    total, count = 0.0, 0
    while first != 0:
        total += layout.values[first * 2 + layout.value_at]
        first = layout.references[first * 4 + layout.next_at]
        count += 1
        if count % _POLL_EVERY == 0:
            _poll(access)  # what is read stays: the caller holds the first
    _leave(access)
    return total


@numba.njit(nogil=True)
def _prepend(heap, access, layout, first, numbers):
    _enter(heap, access)
    base = _at(access, 0)
    root = _root_add(access, first)  # the only one who knows the list while it grows
    made = 0
    while root != _NO_ROOT and made < numbers.size:
        record = _new(access, layout.type)
        if record == 0:
            break
        layout.values[record * 2 + layout.value_at] = numbers[made]
        slot = base + record * _GRANULE_BYTES + layout.next_at * 4
        _store(access, slot, _root_get(access, root))
        _root_set(access, root, record)
        made += 1
    _leave(access)
    return root, made


@numba.njit(nogil=True)
def _end_root(heap, access, root):
    _enter(heap, access)
    _root_remove(access, root)
    _leave(access)


@numba.njit(nogil=True)
def _root_value(heap, access, root):
    _enter(heap, access)
    value = _root_get(access, root)
    _leave(access)
    return value


@numba.njit(nogil=True)
def _base(heap, access):
    _enter(heap, access)
    base = _at(access, 0)
    _leave(access)
    return base


def _access() -> Any:
    """Return room for a trimalloc_access: each call has its own, as each thread needs."""
    return np.zeros(_ACCESS_WORDS, np.uint64)


def _numbers_at(base: int, kind: Any) -> Any:
    """Return all that a reference can reach as an array; what is not in use is not touched."""
    count = _GRANULES * _GRANULE_BYTES // ctypes.sizeof(kind)
    return np.ctypeslib.as_array((kind * count).from_address(base))


class Readings:
    """A linked list of measurements in a heap that Python owns."""

    def __init__(self, heap: trimalloc.Heap) -> None:
        @heap.record
        class Reading:
            value: trimalloc.float64
            next: Reading | None

        self.heap = heap
        self.first: Any = None
        layout = heap.c_layout(Reading)
        self._address = _heap_at(heap.address)
        base = _base(self._address, _access().ctypes.data)
        self._layout = _Layout(
            layout.type,
            layout.offsets["next"] // 4,
            layout.offsets["value"] // 8,
            _numbers_at(base, ctypes.c_uint32),
            _numbers_at(base, ctypes.c_double),
        )

    def total(self) -> float:
        """Add up all values."""
        if self.first is None:
            return 0.0
        first = self.heap.to_reference(self.first)
        access = _access()
        total: float = _total(self._address, access.ctypes.data, self._layout, first)
        return total

    def prepend(self, numbers: Any) -> None:
        """Put numbers in front, one after another; MemoryError when the heap is full."""
        first = 0 if self.first is None else self.heap.to_reference(self.first)
        access, values = _access(), np.ascontiguousarray(numbers, np.float64)
        inside = (self._address, access.ctypes.data)
        root, made = _prepend(*inside, self._layout, first, values)
        if root != _NO_ROOT:
            # The root keeps the list until there is a handle.
            reference = _root_value(*inside, root)
            self.first = self.heap.from_reference(reference) if reference != 0 else None
            _end_root(*inside, root)
        if made != values.size:
            raise MemoryError(f"the heap is full: {made} of {values.size} numbers are in")


if __name__ == "__main__":
    readings = Readings(trimalloc.Heap())
    readings.prepend(np.arange(1_000_000))
    print(f"{readings.total():,.0f} in {readings.heap.stats().heap_bytes:,} bytes")
