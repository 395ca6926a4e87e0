"""What all mappings have: the methods of a dict, and those for many keys at once."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, KeysView, Mapping, ValuesView
from typing import Any, Generic, TypeVar, cast, overload

from trimalloc.collected.containers.kinds import (
    ContainerKind,
    column,
    empty_flags,
    empty_numbers,
    values_for,
)
from trimalloc.collected.fields import BYTES, REFERENCE

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")

_NOT_GIVEN: Any = object()


class Keyed(Generic[_K, _V]):
    """A mapping from keys to values; the native base beside it has what is asked of `self`."""

    __slots__ = ()
    _linked = False
    __container__: ContainerKind
    _take: Any
    _contains_many: Any
    _get_numbers: Any
    _get_records: Any
    _get_bytes: Any
    _set_many: Any
    _delete_many: Any

    # --- one by one -------------------------------------------------------------------------

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
            cast(Any, self)[key] = value

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

    # --- many at once -----------------------------------------------------------------------

    def _keys_given(self, keys: Any) -> Any:
        return column(self.__container__.key, keys)

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
        given = values_for(self.__container__, values)
        gone: int = self._set_many(self._keys_given(keys), given)
        return gone

    def delete_many(self, keys: Any) -> int:
        """Remove those of the keys that are there; return how many were."""
        deleted: int = self._delete_many(self._keys_given(keys))
        return deleted
