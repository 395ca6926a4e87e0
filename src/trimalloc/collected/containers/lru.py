"""LRU: a map of at most so many entries, from which goes what was used least recently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar, overload

from trimalloc.collected.containers.hashed import Hashed

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")


class LRU(Hashed[_K, _V]):
    """A map in the order of last use, made by ``heap.lru(key, value, capacity=n)``.

    Reading and writing an entry are uses of it, asking whether it is there and iterating are not.
    """

    __slots__ = ()
    _linked = True

    @property
    def capacity(self) -> int:
        """The most entries there may be. Lowering it drops those least recently used."""
        return self._limit

    @capacity.setter
    def capacity(self, entries: int) -> None:
        self._limit = entries

    def put(self, key: _K, value: _V, /) -> tuple[_K, _V] | None:
        """Set an entry; return the one that had to go for it, if one had."""
        return self._put(key, value)

    @overload
    def peek(self, key: _K, /) -> _V | None: ...
    @overload
    def peek(self, key: _K, default: _T, /) -> _V | _T: ...
    def peek(self, key: _K, default: object = None, /) -> object:
        """Return the value of the key, or the default; this is no use of it."""
        found: object = self._peek(key, default)
        return found

    def popitem(self) -> tuple[_K, _V]:
        """Remove the entry that was used least recently, and return it."""
        return super().popitem()

    def __iter__(self) -> Iterator[_K]:
        """Go through the keys as they are now, from the least recently used on."""
        keys, _ = self._next_keys(None, len(self))
        return iter(keys)
