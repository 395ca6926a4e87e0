"""What maps and LRU maps have in common: the methods of a dict, and those for many keys at once."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, TypeVar, cast, overload

from trimalloc import _collected
from trimalloc.collected.containers.kinds import (
    ContainerKind,
    byte_column,
    column,
    empty_flags,
    empty_numbers,
    values_for,
)
from trimalloc.collected.fields import BYTES, REFERENCE, FieldType

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")

_NOT_GIVEN: Any = object()
# Keys that an iteration fetches at once.
_STEP = 1024


class Keyed(_collected.Table[_K, _V]):
    """A mapping from keys to values."""

    __slots__ = ()
    _linked = False
    __container__: ContainerKind

    # --- one by one -------------------------------------------------------------------------

    def __iter__(self) -> Iterator[_K]:
        """Go through the keys; RuntimeError when some come or go meanwhile."""
        keys, mark = self._next_keys(None, _STEP)
        while keys:
            yield from keys
            keys, mark = self._next_keys(mark, _STEP)

    def keys(self) -> KeysView[_K]:
        """Return a view of the keys, as a dict's."""
        return KeysView(cast("Mapping[_K, _V]", self))

    def values(self) -> ValuesView[_V]:
        """Return a view of the values."""
        return ValuesView(cast("Mapping[_K, _V]", self))

    def items(self) -> ItemsView[_K, _V]:
        """Return a view of the entries."""
        return ItemsView(cast("Mapping[_K, _V]", self))

    def update(self, items: Mapping[_K, _V] | Iterable[tuple[_K, _V]], /) -> None:
        """Set each of the entries."""
        for key, value in items.items() if isinstance(items, Mapping) else items:
            self[key] = value

    @overload
    def pop(self, key: _K, /) -> _V: ...
    @overload
    def pop(self, key: _K, default: _T, /) -> _V | _T: ...
    def pop(self, key: _K, default: Any = _NOT_GIVEN, /) -> Any:
        """Remove an entry and return its value, or the default."""
        taken = self._take(key)
        if taken is not None:
            return taken[1]
        if default is _NOT_GIVEN:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[_K, _V]:
        """Remove an entry, which one the map chooses, and return it."""
        taken = self._take_first()
        if taken is None:
            raise KeyError("the map is empty")
        return taken

    # --- many at once -----------------------------------------------------------------------

    def _keys_given(self, keys: Any) -> Any:
        return column(cast(FieldType, self.__container__.key), keys)

    def get_many(self, keys: Any, default: Any = _NOT_GIVEN) -> Any:
        """Return the values of many keys: an array of numbers, a batch, or a list of bytes.

        What is not there reads as ``default``; without one, KeyError for numbers, and None for
        bytes and records.
        """
        kind = self.__container__
        given = self._keys_given(keys)
        if kind.value.code == BYTES:
            return self._get_bytes(given, None if default is _NOT_GIVEN else default)
        if kind.value.code == REFERENCE:
            if default not in (_NOT_GIVEN, None):
                raise TypeError("a record that is not there reads as None in a batch")
            return self._get_records(given, kind.value_class())
        fill = 0 if default is _NOT_GIVEN else default
        numbers = empty_numbers(kind.value, len(given), fill)
        found = self._get_numbers(given, numbers)
        if found != len(given) and default is _NOT_GIVEN:
            raise KeyError(f"{len(given) - found} of {len(given)} keys: give a default")
        return numbers

    def contains_many(self, keys: Any) -> Any:
        """Return for each key whether it is there."""
        given = self._keys_given(keys)
        present = empty_flags(len(given))
        self._contains_many(given, present)
        return present

    def set_many(self, keys: Any, values: Any) -> int:
        """Set many entries: values as many as keys, or one for all.

        Returns how many entries had to go for them, which only an LRU map has.
        """
        return self._set_many(self._keys_given(keys), values_for(self.__container__, values))

    def delete_many(self, keys: Any) -> int:
        """Remove those of the keys that are there; return how many were."""
        return self._delete_many(self._keys_given(keys))

    def keys_array(self) -> Any:
        """Return all keys: an array of numbers, or a list of bytes."""
        kind = cast(FieldType, self.__container__.key)
        if kind.code == BYTES:
            return byte_column(iter(self))
        numbers = empty_numbers(kind, len(self), 0)
        return numbers[: self._copy_keys(numbers)]

    def reserve(self, entries: int, key_bytes: int = 0) -> None:
        """Make room in advance: for so many entries in all, and bytes of keys."""
        self._reserve(entries, key_bytes)

    def __repr__(self) -> str:
        """Say of what and how many."""
        return f"<{type(self).__name__} of {len(self)}>"
