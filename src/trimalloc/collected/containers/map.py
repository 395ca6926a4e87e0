"""Map: a hash map in a collected heap."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TypeVar

from trimalloc.collected.containers.hashed import Hashed

_K = TypeVar("_K")
_V = TypeVar("_V")


class Map(Hashed[_K, _V]):
    """A dict of one type of keys and one of values, made by ``heap.map(key, value)``.

    It is a record: a field of type ``Map[int64, Vertex]`` can hold it, and it goes when nothing
    leads to it. Entries have no order.
    """

    __slots__ = ()

    def setdefault(self, key: _K, default: _V, /) -> _V:
        """Return the value of the key; makes it the default when there is none."""
        if key not in self:
            self[key] = default
        return self[key]


MutableMapping.register(Map)
