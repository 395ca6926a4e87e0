"""The roots that a saved heap names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from trimalloc.collected.heap_file_error import told_of

if TYPE_CHECKING:
    from trimalloc.collected.declarations import SavedRoot
    from trimalloc.collected.heap import Heap


class SavedRoots(Mapping[str, Any]):
    """Records and batches by name; each look-up makes a handle, or a batch without copying it.

    The first look-up sums them all: they are too many for that when the file is opened.
    """

    __slots__ = ("_checked", "_heap", "_path", "_places")

    def __init__(self, heap: Heap, places: Mapping[str, SavedRoot], path: str = "") -> None:
        self._heap = heap
        self._places = places
        self._path = path
        self._checked = False

    def __getitem__(self, name: str) -> Any:
        """Return the record or batch; None for a record that has been freed since."""
        place = self._places[name]
        if not self._checked:
            with told_of(self._path):
                self._heap._check_saved_roots()
            self._checked = True
        if place.batch_of is None:
            return self._heap._saved_record(place.first)
        of_class = self._heap._declared[place.batch_of]
        return self._heap._saved_batch(of_class, place.first, place.count)

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._places)

    def __repr__(self) -> str:
        """Show the names."""
        return f"<roots: {', '.join(self._places) or 'none'}>"
