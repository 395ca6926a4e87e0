"""List: a growable list in a collected heap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from trimalloc.collected.batch import Batch
from trimalloc.collected.columns import number_column
from trimalloc.collected.containers.kinds import (
    STEP,
    ContainerKind,
    sink_for,
    values_for,
)
from trimalloc.collected.fields import BYTES, REFERENCE
from trimalloc.collected.width import NativeList

_V = TypeVar("_V")


class List(NativeList[_V]):
    """A list of one type of values that grows at its end, made by ``heap.list(value)``.

    A slice is a column: an array of numbers, a batch, or a list of bytes. It is a record, as a map
    is.
    """

    __slots__ = ()
    _base = "List"
    _linked = False
    __container__: ContainerKind

    def extend(self, values: Any) -> None:
        """Append many values."""
        if isinstance(values, List):
            values = values[:]  # it may be this one, which grows
        values = values if hasattr(values, "__len__") else list(values)
        given = values_for(self.__container__, values)
        if not isinstance(given, Batch) and self.__container__.value.code == REFERENCE:
            for one in given:
                self.append(one)
            return
        self._extend(given, len(given))

    def get_many(self, indices: Any) -> Any:
        """Return the values at many indices: an array of numbers, a batch, or a list of bytes."""
        given = number_column(self.__container__.key, indices)
        sink = sink_for(self.__container__, len(given))
        values = self._get_many(given, sink)
        return sink if values is None else values

    def set_many(self, indices: Any, values: Any) -> None:
        """Set the values at many indices: as many values, or one for all."""
        given = number_column(self.__container__.key, indices)
        self._set_many(given, values_for(self.__container__, values))

    def _slice(self, wanted: slice) -> Any:
        return self.get_many(range(*wanted.indices(len(self))))

    def __iter__(self) -> Iterator[_V]:
        """Go through the values."""
        is_plain = self.__container__.value.code in (BYTES, REFERENCE)
        at = 0
        while at < len(self):
            part = self[at : at + STEP]
            yield from part if is_plain else part.tolist()  # Python's own numbers
            at += STEP


Sequence.register(List)
