"""What a heap has for making containers: their classes are declared when first asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import GenericAlias
from typing import Any, TypeVar

from trimalloc.collected.containers.kinds import (
    ContainerKind,
    key_type,
    priority_type,
    value_type,
)
from trimalloc.collected.containers.list import List
from trimalloc.collected.containers.lru import LRU
from trimalloc.collected.containers.map import Map
from trimalloc.collected.containers.priority_queue import PriorityQueue
from trimalloc.collected.containers.trie import Trie
from trimalloc.collected.fields import FieldType
from trimalloc.collected.layout import RecordLayout

_K = TypeVar("_K")
_V = TypeVar("_V")

# What finds values in containers whose class does not say it: keys, or indices.
_KEYS = {Trie: bytes, List: int}

FACES: dict[str, Any] = {one.__name__: one for one in (Map, LRU, Trie, PriorityQueue, List)}


def named_container(
    heap: object, face: Any, types: tuple[object, ...]
) -> tuple[str, FieldType, FieldType]:
    """Return what the class of containers of these types is called, and the types."""
    to_key = priority_type if face is PriorityQueue else key_type
    key = to_key(_KEYS.get(face, types[0]))
    value = value_type(types[-1], heap)
    names = value.name if face in _KEYS else f"{key.name}, {value.name}"
    return f"{face.__name__}[{names}]", key, value


class ContainerFactory:
    """The part of a heap that makes containers."""

    __slots__ = ()
    _classes: dict[str, Any]
    _declare: Any
    _native: Any

    def map(
        self,
        key: type[_K],
        value: type[_V],
        items: Mapping[_K, _V] | Iterable[tuple[_K, _V]] = (),
        /,
    ) -> Map[_K, _V]:
        """Make a hash map: keys are ``trimalloc.int64`` or ``bytes``.

        Values are numbers (``trimalloc.int64``, ``trimalloc.float64``), ``bytes``, or records of
        a class.
        """
        made: Map[_K, _V] = self._container_class(Map, key, value)()
        made.update(items)
        return made

    def lru(self, key: type[_K], value: type[_V], /, capacity: int) -> LRU[_K, _V]:
        """Make a map of at most so many entries, in the order of their last use."""
        made: LRU[_K, _V] = self._container_class(LRU, key, value)()
        made.capacity = capacity
        return made

    def trie(
        self, value: type[_V], items: Mapping[bytes, _V] | Iterable[tuple[bytes, _V]] = (), /
    ) -> Trie[_V]:
        """Make a trie: a mapping from ``bytes`` that finds keys by their prefixes."""
        made: Trie[_V] = self._container_class(Trie, value)()
        made.update(items)
        return made

    def priority_queue(self, priority: type[_K], value: type[_V], /) -> PriorityQueue[_K, _V]:
        """Make a priority queue: priorities are ``trimalloc.int64`` or ``trimalloc.float64``."""
        made: PriorityQueue[_K, _V] = self._container_class(PriorityQueue, priority, value)()
        return made

    def list(self, value: type[_V], values: Iterable[_V] = (), /) -> List[_V]:
        """Make a list."""
        made: List[_V] = self._container_class(List, value)()
        made.extend(values)
        return made

    def _container_class(self, face: Any, *types: object) -> Any:
        """Return the class of containers of these types; declares it at first."""
        name, key, value = named_container(self, face, types)
        known = self._classes.get(name)
        return self._declare_container(name, face, key, value) if known is None else known

    def _declare_container(self, name: str, face: Any, key: FieldType, value: FieldType) -> Any:
        base = getattr(self._native, face._base)
        space = {
            "__slots__": (),
            "__layout__": RecordLayout(base._size, (), base._runs),
            "__container__": ContainerKind(key, value, self),
        }
        content = (key.code, value.code, value.target, face._linked)
        return self._declare(name, (face, base), space, base._size, (), base._runs, content)

    def _container_of(self, annotation: GenericAlias) -> object:
        """Return the class that ``Map[int64, Vertex]`` and its like name in an annotation."""
        face: Any = annotation.__origin__
        if not hasattr(face, "_linked"):
            return annotation
        return self._container_class(face, *annotation.__args__)
