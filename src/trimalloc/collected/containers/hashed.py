"""What maps and LRU maps have in common beside the methods of all mappings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from trimalloc.collected.containers.keyed import Keyed
from trimalloc.collected.containers.kinds import STEP, empty_numbers
from trimalloc.collected.fields import BYTES
from trimalloc.collected.width import NativeTable

_K = TypeVar("_K")
_V = TypeVar("_V")


class Hashed(NativeTable[_K, _V], Keyed[_K, _V]):
    """A hash table."""

    __slots__ = ()
    _base = "Table"

    def __iter__(self) -> Iterator[_K]:
        """Go through the keys; RuntimeError when some come or go meanwhile."""
        keys, mark = self._next_keys(None, STEP)
        while keys:
            yield from keys
            keys, mark = self._next_keys(mark, STEP)

    def popitem(self) -> tuple[_K, _V]:
        """Remove an entry, which one the map chooses, and return it."""
        taken = self._take_first()
        if taken is None:
            raise KeyError("the map is empty")
        return taken

    def keys_array(self) -> Any:
        """Return all keys: an array of numbers, or a list of bytes."""
        kind = self.__container__.key
        if kind.code == BYTES:
            return list(self)
        numbers = empty_numbers(kind, len(self), 0)
        return numbers[: self._copy_keys(numbers)]

    def reserve(self, entries: int, key_bytes: int = 0) -> None:
        """Make room in advance: for so many entries in all, and bytes of keys."""
        self._reserve(entries, key_bytes)
