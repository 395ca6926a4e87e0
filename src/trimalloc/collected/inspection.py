"""What keeps a record, and what a heap consists of: data first, and text of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trimalloc.collected.width import NativeHeap
from trimalloc.sizes import format_size

# What keeps the first record of a path: engine/frontends/collected/whole_graph.h.
_HANDLE, _ARRAY, _PERMANENT = 1, 2, 3
# Kinds of pages that belong to no record class: engine/frontends/collected/layout.h.
NAMES_OF_ARRAYS = {1: "bytes, text, numbers", 2: "arrays of references"}
# Lines of a path's text before and after its middle is left out.
_SHOWN = 10


@dataclass(frozen=True)
class PathStep:
    """One record of a path, and the field that leads to the next."""

    record: Any
    """A handle."""
    field: str
    """Its name, with the position if it holds an array; empty in the last step."""


@dataclass(frozen=True)
class RootPath:
    """A shortest way from a root to a record; ``str()`` shows it line by line."""

    root: str
    """What keeps the first record: a handle, a batch, ``freeze()``."""
    steps: tuple[PathStep, ...]
    """From the root's record to the one that was asked about."""

    def __str__(self) -> str:
        """Return the path as text, its middle left out when it is long."""
        lines = [
            f"  {type(one.record).__name__}" + (f".{one.field}" if one.field else "")
            for one in self.steps
        ]
        left_out = len(lines) - 2 * _SHOWN
        if left_out > 1:
            lines[_SHOWN:-_SHOWN] = [f"  ... {left_out} more"]
        return "\n".join([self.root, *lines])


@dataclass(frozen=True)
class HistogramRow:
    """The records of one class, not those of derived ones."""

    name: str
    """Of the class, or what arrays hold."""
    record_class: Any
    """None: arrays."""
    records: int
    bytes: int
    """Slots, as they are rounded up."""
    retained_bytes: int | None
    """What single records of it dominate; None when that was not asked for."""


@dataclass(frozen=True)
class Histogram:
    """What a heap consists of, the most bytes first; ``str()`` is a table."""

    rows: tuple[HistogramRow, ...]
    largest: tuple[tuple[Any, int], ...] = ()
    """Records that retain most, with the bytes; when that was asked for."""

    def __str__(self) -> str:
        """Return a table."""
        lines = [f"{'records':>12} {'bytes':>10} {'retained':>10}  class"]
        for row in self.rows:
            kept = "" if row.retained_bytes is None else format_size(row.retained_bytes)
            lines.append(f"{row.records:12,} {format_size(row.bytes):>10} {kept:>10}  {row.name}")
        return "\n".join(lines)


def _root_text(kind: int, position: int, length: int) -> str:
    if kind == _ARRAY:
        return f"a batch of {length:,}, position {position:,}"
    return {_HANDLE: "a handle", _PERMANENT: "freeze()"}.get(kind, "a root that is gone by now")


def _field_text(record: Any, offset: int, position: int) -> str:
    """Return the name of the field at an offset; what no longer leads on is said."""
    if offset < 0:
        return "? (changed meanwhile)"
    layout = type(record).__layout__
    name = next((one.name for one in layout.fields if one.offset == offset), "?")
    return name if position < 0 else f"{name}[{position}]"


def _row(described: tuple[Any, int, int, int], retained: bool) -> HistogramRow:
    kind, records, size, kept = described
    record_class = None if isinstance(kind, int) else kind
    name = NAMES_OF_ARRAYS.get(kind, "?") if record_class is None else record_class.__name__
    return HistogramRow(name, record_class, records, size, kept if retained else None)


class Inspection(NativeHeap):
    """The questions about a heap as a whole. Other threads run meanwhile."""

    _native: Any

    def why(
        self, record: Any, *, progress: Callable[[int], object] | None = None
    ) -> RootPath | None:
        """Return a shortest path from a root to a record, or None: only ``record`` itself keeps it.

        The handle ``record`` does not count as a root, other handles of the same record do.
        ``progress`` is called now and then with the number of records looked at.
        """
        found = self._native._why(self, record, progress)
        if found is None:
            return None
        kind, position, length, path = found
        steps = [PathStep(one, _field_text(one, at, index)) for one, at, index in path[1:]]
        return RootPath(
            _root_text(kind, position, length), (*reversed(steps), PathStep(path[0][0], ""))
        )

    def histogram(
        self, *, retained: bool = False, progress: Callable[[int], object] | None = None
    ) -> Histogram:
        """Collect, then count records and bytes by class.

        With ``retained``, also what each class retains: the bytes that single records of it
        dominate, those that several do counted once. ``progress`` is called now and then with
        the percentage of that which is done after all records have been reached.
        """
        if retained:
            rows, largest = self._native._retained(self, progress)
        else:
            self.collect()
            rows, largest = self._native._histogram(self), []
        made = (_row(one, retained) for one in rows)
        return Histogram(tuple(sorted(made, key=lambda row: -row.bytes)), tuple(largest))
