"""Trie: strings of bytes in order, found by their prefixes, in a collected heap."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, TypeVar

from trimalloc.collected.containers.keyed import Keyed
from trimalloc.collected.containers.kinds import INT64, STEP, byte_column, empty_numbers, sink_for
from trimalloc.collected.fields import FieldType
from trimalloc.collected.width import NativeTrie

_V = TypeVar("_V")

_LENGTH = FieldType("int64", INT64, 8, "i8")


class Trie(NativeTrie[_V], Keyed[bytes, _V]):
    """A mapping from bytes that knows prefixes, made by ``heap.trie(value)``.

    Its keys are in order. It is a record, as a map is.
    """

    __slots__ = ()
    _base = "Trie"

    def __iter__(self) -> Iterator[bytes]:
        """Go through the keys in order; some may come and go meanwhile."""
        return self.starting_with(b"")

    def starting_with(self, prefix: bytes) -> Iterator[bytes]:
        """Go through the keys that begin with `prefix`, in order."""
        keys = self._keys_after(prefix, None, STEP)
        while keys:
            yield from keys
            keys = self._keys_after(prefix, keys[-1], STEP)

    def longest_prefix_many(self, keys: Any) -> tuple[Any, Any]:
        """Return, for each of many, the longest key that it begins with: lengths and values.

        The length is -1 where there is none; the value there is 0, or None. Values are an array of
        numbers, a batch, or a list of bytes.
        """
        kind = self.__container__
        given = byte_column(keys)
        lengths = empty_numbers(_LENGTH, len(given), 0)
        sink = sink_for(kind, len(given))
        values = self._longest_prefixes(given, lengths, sink)
        return lengths, sink if values is None else values


MutableMapping.register(Trie)
