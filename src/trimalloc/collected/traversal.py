"""Walking the graph of records: which fields of which classes, in which order.

The engine walks, without the GIL and beside the collector; here names become offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError
from typing import TYPE_CHECKING, Any

from trimalloc._collected import Record
from trimalloc.collected.batch import Batch
from trimalloc.collected.fields import REFERENCE, REFERENCES
from trimalloc.collected.width import NativeHeap, is_record_class
from trimalloc.optional_numpy import numpy_or_none

if TYPE_CHECKING:
    from trimalloc.collected.layout import RecordLayout

    Condition = tuple[str, str, float]
    Progress = Callable[[int], object]

# The orders of engine/frontends/collected/traversal.h.
_BREADTH_FIRST, _DEPTH_FIRST, _TOPOLOGICAL = range(3)
# The comparisons of bindings/collected/conditions.h.
_COMPARISONS = {"<": 0, "<=": 1, "==": 2, "!=": 3, ">=": 4, ">": 5}
# Records are numbered with 32 bits.
_NO_BOUND = (1 << 32) - 1


@dataclass(frozen=True)
class Walk:
    """What a walk has reached, in its order."""

    records: Batch
    """The records."""
    depth: Any
    """Of each record, how many others lie between a start and it, itself counted: int32."""
    parent: Any
    """Of each record, the position of the one that led to it; -1 for a start: int32."""

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self.records)


def _column(numbers: bytearray | None) -> Any:
    numpy = numpy_or_none()
    given = numbers if numbers is not None else bytearray()
    return memoryview(given).cast("i") if numpy is None else numpy.frombuffer(given, "i4")


def _followed(layout: RecordLayout) -> dict[str, int]:
    """Return the fields that lead to records, with their offsets."""
    return {
        one.name: one.offset for one in layout.fields if one.type.code in (REFERENCE, REFERENCES)
    }


def _chosen(along: Iterable[str], classes: Sequence[Any]) -> dict[Any, list[int]]:
    """Return the offsets to follow in each class, in the order of `along`."""
    chosen: dict[Any, list[int]] = {one: [] for one in classes}
    for wanted in along:
        owner, _, name = wanted.rpartition(".")
        found = False
        for record_class in classes:
            names = {one.__name__ for one in record_class.__mro__}
            offset = _followed(record_class.__layout__).get(name)
            if offset is not None and (not owner or owner in names):
                chosen[record_class].append(offset)
                found = True
        if not found:
            raise ValueError(f"no record class has a field of references {wanted!r}")
    return chosen


def _conditions(where: Condition | Iterable[Condition]) -> tuple[tuple[str, int, float], ...]:
    if isinstance(where, tuple) and len(where) == 3 and isinstance(where[0], str):
        where = [where]
    described = []
    for one in where:
        if len(one) != 3 or one[1] not in _COMPARISONS:
            raise ValueError(
                f"a condition is (field, comparison, number) with one of "
                f"{' '.join(_COMPARISONS)}, not {one!r}"
            )
        described.append((one[0], _COMPARISONS[one[1]], one[2]))
    return tuple(described)


def _class_of(start: Any) -> Any:
    """Return the record class of what a walk starts from."""
    if isinstance(start, Batch):
        return start.record_class
    one = start[0] if isinstance(start, (list, tuple)) and start else start
    if not isinstance(one, Record):
        raise TypeError(f"start is a record, a batch, or a list of records, not {start!r}")
    return type(one)


def _bound(name: str, value: int | None, least: int) -> int:
    if value is not None and value < least:
        raise ValueError(f"{name} is at least {least}, not {value}")
    return _NO_BOUND if value is None else min(value, _NO_BOUND)


class Traversals(NativeHeap):
    """The walks of a heap.

    All of them go from ``start`` (a record, a batch, a list of records) along the reference fields
    ``along``: names such as ``"edges"`` or ``"Vertex.edges"``, in the order to follow them; by
    default all. They report the records of the class ``of`` and of those derived from it, by
    default the class of the start; other records are passed through. ``where`` is a condition such
    as ``("score", ">=", 0.5)``, or several, which reported records have to fulfil: what does not
    is neither reported nor passed. ``progress`` is called now and then with the number of records
    reported so far. Other threads run meanwhile; fields are read as the walk comes by.
    """

    _native: Any

    def breadth_first(
        self,
        start: Any,
        along: Iterable[str] | None = None,
        *,
        of: type | None = None,
        where: Condition | Iterable[Condition] = (),
        max_depth: int | None = None,
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Walk:
        """Walk by rising depth, no farther than ``max_depth``, to at most ``most`` records."""
        bounds = (_bound("max_depth", max_depth, 0), _bound("most", most, 1))
        found = self._walked(
            start, _BREADTH_FIRST, along, of=of, where=where, bounds=bounds, progress=progress
        )
        return Walk(found[0], _column(found[2]), _column(found[3]))

    def depth_first(
        self,
        start: Any,
        along: Iterable[str] | None = None,
        *,
        of: type | None = None,
        where: Condition | Iterable[Condition] = (),
        most: int | None = None,
        progress: Progress | None = None,
    ) -> Walk:
        """Walk each path to its end first: a record before what it leads to."""
        bounds = (_NO_BOUND, _bound("most", most, 1))
        found = self._walked(
            start, _DEPTH_FIRST, along, of=of, where=where, bounds=bounds, progress=progress
        )
        return Walk(found[0], _column(found[2]), _column(found[3]))

    def topological(
        self,
        start: Any,
        along: Iterable[str] | None = None,
        *,
        of: type | None = None,
        where: Condition | Iterable[Condition] = (),
        progress: Progress | None = None,
    ) -> Batch:
        """Return the records, each before all that it leads to.

        Raises graphlib.CycleError where that cannot be; its second argument lists the cycle.
        """
        found = self._walked(start, _TOPOLOGICAL, along, of=of, where=where, progress=progress)
        if found[4] is not None:
            raise CycleError(f"a cycle of {len(found[4])} records has no order", found[4])
        batch: Batch = found[0]
        return batch

    def count_reachable(
        self,
        start: Any,
        along: Iterable[str] | None = None,
        *,
        of: type | None = None,
        where: Condition | Iterable[Condition] = (),
        progress: Progress | None = None,
    ) -> int:
        """Return how many records a walk would report, its start included."""
        found = self._walked(
            start, _BREADTH_FIRST, along, of=of, where=where, records=False, progress=progress
        )
        count: int = found[1]
        return count

    def _walked(
        self,
        start: Any,
        order: int,
        along: Iterable[str] | None,
        *,
        of: type | None,
        where: Condition | Iterable[Condition],
        bounds: tuple[int, int] = (_NO_BOUND, _NO_BOUND),
        records: bool = True,
        progress: Progress | None,
    ) -> Any:
        wanted: Any = of if of is not None else _class_of(start)
        if not is_record_class(wanted):
            raise TypeError(f"of is a record class, not {wanted!r}")
        if wanted.__trimalloc_heap__ is not self:
            raise ValueError(f"{wanted.__name__} is a record class of another heap")
        if isinstance(along, str):
            along = [along]
        classes = list(self._classes.values())
        if along is None:
            chosen = {one: list(_followed(one.__layout__).values()) for one in classes}
        else:
            chosen = _chosen(along, classes)
        described: list[tuple[type, tuple[int, ...], bool]] = [
            (one, tuple(offsets), issubclass(one, wanted)) for one, offsets in chosen.items()
        ]
        return self._native._walk(
            self, start, order, described, wanted, _conditions(where), *bounds, records, progress
        )
