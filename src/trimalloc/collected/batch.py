"""Batches: many records at once, column by column.

NumPy is used where it is installed. Without it, columns are read as memoryviews and written from
anything with a buffer of the right format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trimalloc.collected.width import NativeBatch
from trimalloc.optional_numpy import numpy_or_none

if TYPE_CHECKING:
    from trimalloc.collected.layout import PlacedField, RecordLayout


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

    def __getattr__(self, name: str) -> Any:
        """Return a column."""
        placed = self._layout.by_name.get(name)
        if placed is None:
            raise AttributeError(f"{self.record_class.__name__} has no field {name!r}")
        if placed.type.is_reference:
            return self._references(placed)
        numpy = numpy_or_none()
        size = placed.type.size * placed.type.length
        if numpy is None:
            buffer = bytearray(size * len(self))
            self._read(name, buffer)
            return memoryview(buffer).cast("B")
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
        placed = self._layout.by_name.get(name)
        if placed is None:
            raise AttributeError(f"{self.record_class.__name__} has no field {name!r}")
        if placed.type.is_reference:
            self._write_references(name, value)
            return
        numpy = numpy_or_none()
        if numpy is None:
            self._write(name, value, False)
            return
        given = numpy.asarray(value)
        column = numpy.ascontiguousarray(given.astype(placed.type.numpy, copy=False))
        if given.dtype.kind in "fc" and placed.type.numpy[0] in "iu?":
            raise TypeError(f"column {name!r} holds whole numbers, not {given.dtype}")
        if given.dtype != column.dtype and given.dtype.kind in "iu" and (column != given).any():
            raise OverflowError(f"a value does not fit column {name!r} ({placed.type.name})")
        broadcast = given.ndim == (1 if placed.type.is_array else 0)
        self._write(name, column, broadcast)

    def __getitem__(self, index: Any) -> Any:
        """Return a record, or a batch for a slice, positions or a mask."""
        if isinstance(index, slice) or not hasattr(index, "__len__"):
            return super().__getitem__(index)
        numpy = numpy_or_none()
        if numpy is None:
            from array import array  # noqa: PLC0415

            return self._take(array("q", index))
        chosen = numpy.asarray(index)
        if chosen.dtype == bool:
            if len(chosen) != len(self):
                raise IndexError(f"a mask of {len(chosen)} for a batch of {len(self)}")
            chosen = numpy.flatnonzero(chosen)
        return self._take(numpy.ascontiguousarray(chosen, "i8"))

    def __iter__(self) -> Iterator[Any]:
        """Go through the records, each as a handle."""
        return (super(Batch, self).__getitem__(i) for i in range(len(self)))

    def __repr__(self) -> str:
        """Say how many of which class."""
        return f"<Batch of {len(self)} {self.record_class.__name__}>"
