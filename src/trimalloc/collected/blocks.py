"""Blocks: the records of a class where they lie, as NumPy arrays over whole spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimalloc.optional_numpy import numpy_needed

if TYPE_CHECKING:
    from trimalloc import _collected
    from trimalloc.collected.layout import RecordLayout


def dtype_of(layout: RecordLayout, item_bytes: int) -> dict[str, Any]:
    """Return NumPy's description of a record: its numbers by name, its references left out."""
    numbers = [one for one in layout.fields if not one.type.is_reference]
    formats = [
        (one.type.numpy, (one.type.length,)) if one.type.is_array else one.type.numpy
        for one in numbers
    ]
    return {
        "names": [one.name for one in numbers],
        "formats": formats,
        "offsets": [one.offset for one in numbers],
        "itemsize": item_bytes,
    }


class Block:
    """A stretch of memory that holds records of one class side by side.

    ``block.records`` is a structured array over all its slots, ``block.live`` says which of them
    hold a record. While a block exists, its memory is neither given back nor used for new records.
    """

    __slots__ = ("_native", "records")

    def __init__(self, native: _collected.Block, layout: RecordLayout) -> None:
        numpy = numpy_needed("scan()")
        self._native = native
        dtype = numpy.dtype(dtype_of(layout, native.item_bytes))
        #: The slots: one element each, dead ones too.
        self.records: Any = numpy.ndarray(len(native), dtype, native)

    @property
    def live(self) -> Any:
        """Which slots hold a record now."""
        numpy = numpy_needed("scan()")
        return numpy.frombuffer(self._native.live_mask(), bool)

    def __len__(self) -> int:
        """Return the number of slots, dead ones too."""
        return len(self._native)

    def __getitem__(self, name: str) -> Any:
        """Return one column of all slots, without a copy."""
        return self.records[name]

    def __repr__(self) -> str:
        """Say how many slots of which class."""
        return f"<Block of {len(self)} slots of {self._native.record_class.__name__}>"
