"""The two widths of references: 32 bits, and 64, whose native half is loaded when it is asked for.

Both native halves are the same sources. What a program sees, a heap, a batch, a map, is a *face*:
a class without a native base, of which there is one. Its instances are of a class that has both the
face and the native base of a width::

    trimalloc.Heap  <---  Heap of 64 bits  --->  _collected_wide.Heap

so ``isinstance`` knows one Heap, and nothing asks for the width when it is used.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import GenericAlias
from typing import TYPE_CHECKING, Any

from trimalloc import _collected

if TYPE_CHECKING:
    from trimalloc._collected import Batch as NativeBatch
    from trimalloc._collected import Heap as NativeHeap
    from trimalloc._collected import List as NativeList
    from trimalloc._collected import PriorityQueue as NativePriorityQueue
    from trimalloc._collected import Table as NativeTable
    from trimalloc._collected import Trie as NativeTrie
else:

    class _Native:
        """Stands in a face for the native base of whichever width."""

        __slots__ = ()
        __class_getitem__ = classmethod(GenericAlias)

    NativeBatch = NativeHeap = NativeList = NativePriorityQueue = NativeTable = NativeTrie = _Native

# Where the bases of all record classes come from.
_NATIVE = frozenset({"trimalloc._collected", "trimalloc._collected_wide"})

__all__ = [
    "NativeBatch",
    "NativeHeap",
    "NativeList",
    "NativePriorityQueue",
    "NativeTable",
    "NativeTrie",
    "is_record_class",
    "native",
    "of_width",
    "record_bases",
]


def native(bits: int) -> Any:
    """Return the native module for references of so many bits."""
    if bits == 32:
        return _collected
    if bits != 64:
        raise ValueError(f"references have 32 or 64 bits, not {bits!r}")
    return import_module("trimalloc._collected_wide")


@cache
def of_width(face: Any, base: str, bits: int) -> Any:
    """Return the class with that face over the native class of that name."""
    if hasattr(face, "_native"):  # it is one
        return face
    space = {"__slots__": (), "__module__": face.__module__, "__doc__": face.__doc__}
    space |= {"__qualname__": face.__qualname__, "_native": native(bits)}
    return type(face.__name__, (face, getattr(native(bits), base)), space)


def record_bases(cls: type) -> list[type]:
    """Return the record classes that a class is declared to derive from."""
    bases = cls.__dict__.get("__record_bases__", cls.__bases__)
    return [one for one in bases if one is not object and one.__module__ not in _NATIVE]


def is_record_class(one: object) -> bool:
    """Whether it is a record class of a heap, not the draft of one."""
    return isinstance(one, type) and hasattr(one, "__trimalloc_heap__")
