"""PriorityQueue: what has the least priority comes out first, in a collected heap."""

from __future__ import annotations

from typing import Any, TypeVar

from trimalloc.collected.containers.kinds import (
    ContainerKind,
    column,
    empty_numbers,
    sink_for,
    values_for,
)
from trimalloc.collected.width import NativePriorityQueue

_P = TypeVar("_P")
_V = TypeVar("_V")


class PriorityQueue(NativePriorityQueue[_P, _V]):
    """Values in the order of numbers, made by ``heap.priority_queue(priority, value)``.

    Of values with equal priorities any comes out first. It is a record, as a map is.
    """

    __slots__ = ()
    _base = "PriorityQueue"
    _linked = False
    __container__: ContainerKind

    def push_many(self, priorities: Any, values: Any) -> None:
        """Add many entries: values as many as priorities, or one for all."""
        given = column(self.__container__.key, priorities)
        self._push_many(given, values_for(self.__container__, values))

    def pop_many(self, most: int) -> tuple[Any, Any]:
        """Remove up to `most` entries, least first: return their priorities and values.

        Values are an array of numbers, a batch, or a list of bytes.
        """
        if most < 0:
            raise ValueError(f"a queue has no {most} entries")
        kind = self.__container__
        count = min(most, len(self))
        priorities = empty_numbers(kind.key, count, 0)
        sink = sink_for(kind, count)
        popped, values = self._pop_many(count, priorities, sink)
        return priorities[:popped], sink[:popped] if values is None else values
