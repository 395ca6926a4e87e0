"""The size classes: what a request is rounded up to, and what a span of each class wastes."""

from __future__ import annotations

from dataclasses import dataclass

from trimalloc import _native

PAGE_BYTES = 8192  # the page heap's unit, whatever pages the hardware has


@dataclass(frozen=True)
class SizeClass:
    """One size class. ``smallest_bytes`` is the smallest request that it serves.

    ``python_objects``: it serves CPython's object domain alone, which no other class of this size
    serves: objects there lie so that the garbage collector waits less for memory.
    """

    index: int
    smallest_bytes: int
    object_bytes: int
    span_pages: int
    span_objects: int
    batch_objects: int
    python_objects: bool = False

    @property
    def span_bytes(self) -> int:
        """Bytes of a span."""
        return self.span_pages * PAGE_BYTES

    @property
    def tail_bytes(self) -> int:
        """Bytes of each span in which no object lies."""
        return self.span_bytes - self.span_objects * self.object_bytes

    @property
    def tail_share(self) -> float:
        """Share of a span that its tail wastes."""
        return self.tail_bytes / self.span_bytes

    @property
    def rounding_share(self) -> float:
        """Share of an object that rounding up wastes at the worst, for the smallest request."""
        return (self.object_bytes - self.smallest_bytes) / self.object_bytes


def size_classes() -> tuple[SizeClass, ...]:
    """Return the size classes in ascending order; larger requests are rounded up to whole pages."""
    classes: list[SizeClass] = []
    smallest = 1
    for index, entry in enumerate(_native.stats()["classes"]):
        if entry["object_bytes"] == 0:  # class 0, the large objects
            continue
        before = classes[-1] if classes else None
        again = before is not None and before.object_bytes == entry["object_bytes"]
        classes.append(
            SizeClass(
                index=index,
                smallest_bytes=before.smallest_bytes if before and again else smallest,
                object_bytes=entry["object_bytes"],
                span_pages=entry["span_pages"],
                span_objects=entry["span_objects"],
                batch_objects=entry["batch_objects"],
                python_objects=again,
            )
        )
        smallest = entry["object_bytes"] + 1
    return tuple(classes)
