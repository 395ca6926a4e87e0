"""Freeing by hand: regions, what still refers to freed records, and what was never freed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from trimalloc.collected.width import NativeHeap
from trimalloc.sizes import format_size


@dataclass(frozen=True)
class LeakRow:
    """The leaked records of one class, not those of derived ones."""

    record_class: Any
    records: int
    bytes: int
    examples: tuple[Any, ...]
    """Handles of at most ten of them: they live as long as these do."""


@dataclass(frozen=True)
class Leaks:
    """Records that nothing reaches and nobody has freed; ``str()`` is a table."""

    rows: tuple[LeakRow, ...]
    """The most bytes first."""

    @property
    def records(self) -> int:
        """How many there are."""
        return sum(row.records for row in self.rows)

    def __str__(self) -> str:
        """Return a table."""
        lines = [f"{'records':>12} {'bytes':>10}  class"]
        for row in self.rows:
            name = row.record_class.__name__
            lines.append(f"{row.records:12,} {format_size(row.bytes):>10}  {name}")
        return "\n".join(lines)


def _raise_dangling(holder: Any, offset: int) -> None:
    if holder is None:
        raise ReferenceError("a freed record is still referenced by an array of references")
    fields = type(holder).__layout__.fields
    name = next((one.name for one in fields if one.offset == offset), "?")
    raise ReferenceError(
        f"a freed record is still referenced by field {name!r} of {holder!r}: "
        "set the field to None, or keep the record"
    )


class Region:
    """Records that are freed together: those that this thread makes inside the ``with`` block.

    They live until the block ends, whatever refers to them; then they are freed as by ``free``.
    Containers, and what fields of variable length hold, are left to the collector. Regions may be
    nested; the innermost of a heap takes what is made. Tasks of one thread share its regions: do
    not ``await`` in one.
    """

    __slots__ = ("_heap", "_region", "freed")

    def __init__(self, heap: Regions) -> None:
        self._heap = heap
        self._region: object = None
        #: How many records were freed when it ended.
        self.freed = 0

    def __enter__(self) -> Region:
        """Open it."""
        if self._region is not None:
            raise RuntimeError("a region is entered once; make another with heap.region()")
        self._region = self._heap._native._begin_region(self._heap)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free what was made in it, also when the block raises."""
        self.freed = self._heap._native._end_region(self._entered())
        if error is None:
            self._heap._check_dangling()

    def keep(self, *records: Any) -> None:
        """Take records out of the region: they live on as others do."""
        region = self._entered()
        for one in records:
            self._heap._native._keep(region, one)

    def _entered(self) -> object:
        if self._region is None:
            raise RuntimeError("the region is not entered: use it in a with statement")
        return self._region


class Regions(NativeHeap):
    """What helps programs that free by hand."""

    _native: Any
    _checked: bool

    def region(self) -> Region:
        """Return a region for a ``with`` statement."""
        return Region(self)

    def collect(self) -> None:
        """Make a whole collection; other threads go on meanwhile.

        In checked mode ReferenceError says when a live record still refers to a freed one.
        """
        super().collect()
        self._check_dangling()

    def leaks(self, *, progress: Callable[[int], object] | None = None) -> Leaks:
        """Return what only a collection would free: records that nobody reaches or has freed.

        Beside threads that change the graph it may list records that live.
        """
        rows, examples = self._native._leaks(self, progress)
        made = [
            LeakRow(one, records, size, tuple(e for e in examples if type(e) is one))
            for one, records, size in rows
        ]
        return Leaks(tuple(sorted(made, key=lambda row: -row.bytes)))

    def _check_dangling(self) -> None:
        found = self._native._dangling(self) if self._checked else None
        if found is not None:
            _raise_dangling(*found)
