"""A heap with a few record classes, for the tests of the collected heap."""

from __future__ import annotations

from types import SimpleNamespace

import trimalloc


def graph_classes(**options: object) -> SimpleNamespace:
    """Return a heap with the classes Vertex, Edge and Place(Vertex)."""
    heap = trimalloc.Heap(**options)  # type: ignore[arg-type]

    @heap.record
    class Vertex:
        id: trimalloc.int64
        score: trimalloc.float32
        name: trimalloc.Bytes | None
        edges: Edge | None  # type: ignore[name-defined]

        def doubled(self) -> int:
            return self.id * 2

    @heap.record
    class Edge:
        to: Vertex | None
        next: Edge | None

    @heap.record
    class Place(Vertex):  # type: ignore[misc, valid-type]
        latitude: float
        twin: Vertex | None

    return SimpleNamespace(heap=heap, Vertex=Vertex, Edge=Edge, Place=Place)


# Of a batch of so many Wides a column is copied without the GIL.
MANY_WIDES = 12_000


def wide_and_other(heap: trimalloc.Heap) -> SimpleNamespace:
    """Return two classes: where Wides were, Others would show what is written to their numbers."""

    @heap.record
    class Wide:
        numbers: trimalloc.Array[trimalloc.int64, 500]  # type: ignore[valid-type]

    @heap.record
    class Other:
        number: trimalloc.int64

    return SimpleNamespace(Wide=Wide, Other=Other)
