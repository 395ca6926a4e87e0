"""Batches: many records at once, column by column.

NumPy is used where it is installed. Without it, columns are read as memoryviews, and written from
buffers of their own format or from Python's numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from trimalloc.collected.columns import converted, number_column
from trimalloc.collected.fields import BUILTIN, REFERENCE
from trimalloc.collected.width import NativeBatch
from trimalloc.optional_numpy import numpy_or_none

if TYPE_CHECKING:
    from trimalloc.collected.layout import PlacedField, RecordLayout


def _one_after_another(rows: Sequence[Any], length: int) -> Sequence[Any]:
    """Return the numbers of rows; those of one row, for all records, as they are."""
    if not all(hasattr(row, "__len__") for row in rows):
        return rows
    if any(len(row) != length for row in rows):
        raise ValueError(f"rows of {length} numbers are needed")
    return [number for row in rows for number in row]


class Batch(NativeBatch):
    """Records made together, or selected: one root for all of them.

    ``batch.name`` is a column: an array of numbers, or a batch of what a reference field names.
    Assigning to it writes every record. Indexing gives a record, a slice gives a batch; an array
    of positions or a mask selects.
    """

    __slots__ = ()

    @property
    def _layout(self) -> RecordLayout:
        layout: RecordLayout = self.record_class.__layout__
        return layout

    def _column(self, name: str) -> PlacedField:
        """Return the field that is a column, or raise AttributeError."""
        placed = self._layout.by_name.get(name)
        if placed is None:
            raise AttributeError(f"{self.record_class.__name__} has no field {name!r}")
        if placed.type.is_reference and placed.type.code != REFERENCE:
            raise AttributeError(
                f"{self.record_class.__name__}.{name} is no column: columns are of numbers and "
                "references, read what is of variable length record by record"
            )
        return placed

    def __getattr__(self, name: str) -> Any:
        """Return a column."""
        placed = self._column(name)
        if placed.type.is_reference:
            return self._references(placed)
        numpy = numpy_or_none()
        if numpy is None:
            return self._read_view(name)
        shape = (len(self), placed.type.length) if placed.type.is_array else len(self)
        column = numpy.empty(shape, placed.type.numpy)
        self._read(name, column)
        return column

    def _references(self, placed: PlacedField) -> Batch:
        target: Any = placed.type.target
        if isinstance(target, str):
            target = self.record_class.__trimalloc_heap__._classes[target]
        if target is None:
            raise TypeError(  # from a file that some other program wrote
                f"field {placed.name!r} may name records of any class, and the columns of a batch "
                "are those of one: read it record by record"
            )
        batch: Batch = self._read_references(placed.name, target)
        return batch

    def __setattr__(self, name: str, value: Any) -> None:
        """Write a column."""
        placed = self._column(name)
        if placed.type.is_reference:
            self._write_references(name, value)
            return
        numbers = converted(placed.type, value)
        if placed.type.is_array and isinstance(numbers, (list, tuple)):
            numbers = _one_after_another(numbers, placed.type.length)
        self._write(name, numbers)

    def __getitem__(self, index: Any) -> Any:
        """Return a record, or a batch for a slice, positions or a mask."""
        if isinstance(index, slice) or not hasattr(index, "__len__"):
            return super().__getitem__(index)
        numpy = numpy_or_none()
        chosen: Any = list(index) if numpy is None else numpy.asarray(index)
        is_mask = set(map(type, chosen)) == {bool} if numpy is None else chosen.dtype == bool
        if is_mask:
            if len(chosen) != len(self):
                raise IndexError(f"a mask of {len(chosen)} for a batch of {len(self)}")
            every = range(len(self))
            chosen = list(compress(every, chosen)) if numpy is None else numpy.flatnonzero(chosen)
        try:
            positions = number_column(BUILTIN[int], chosen)
        except OverflowError:
            raise IndexError("batch index out of range") from None
        return self._take(positions)

    def __iter__(self) -> Iterator[Any]:
        """Go through the records, each as a handle."""
        return (super(Batch, self).__getitem__(i) for i in range(len(self)))

    def __repr__(self) -> str:
        """Say how many of which class."""
        return f"<Batch of {len(self)} {self.record_class.__name__}>"
