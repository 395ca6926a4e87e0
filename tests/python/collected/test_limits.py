"""A heap's limit: as a share, and failing rather than collecting for ever."""

from __future__ import annotations

import time

import pytest

import trimalloc
from trimalloc.memory_available import available_bytes

from .shapes import graph_classes


def test_a_limit_can_be_a_share_of_the_memory() -> None:
    available = available_bytes()
    assert trimalloc.Heap(limit="cgroup").limit == int(available * 0.9)
    heap = trimalloc.Heap(limit="25%")
    assert heap.limit == int(available / 4)
    assert 0 <= heap.stats().limit_bytes - heap.limit < 8192  # whole pages
    heap.limit = "12.5 %"
    assert heap.limit == int(available / 8)


@pytest.mark.parametrize("limit", [1, "4K", 8191])
def test_less_than_a_page_is_a_limit(limit: int | str) -> None:
    heap = trimalloc.Heap(limit=limit)
    assert heap.stats().limit_bytes == 8192
    with pytest.raises(MemoryError, match="at its limit of 8192 bytes"):
        heap.list(int, range(100_000))
    heap.limit = 0
    heap.list(int, range(100_000))


def test_what_is_refused_is_not_kept() -> None:
    for bad in ({"limit": -1}, {"gc_percent": -1}, {"sample_bytes": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} is "):
            trimalloc.Heap(**bad)  # type: ignore[arg-type]
    heap = trimalloc.Heap(limit="1G")
    for name in ("limit", "gc_percent", "sample_bytes"):
        before = getattr(heap, name)
        for number, error in ((-1, ValueError), (2**64, OverflowError)):
            with pytest.raises(error):
                setattr(heap, name, number)
            assert getattr(heap, name) == before
    heap.limit = "2G"
    assert heap.stats().limit_bytes == 2 << 30


@pytest.mark.parametrize("limit", ["0%", "101%", "x%", "-5%"])
def test_a_share_that_is_none_is_an_error(limit: str) -> None:
    with pytest.raises(ValueError, match="a share of the memory is from 1% to 100%"):
        trimalloc.Heap(limit=limit)


def test_a_heap_that_lives_at_its_limit_fails_fast() -> None:
    g = graph_classes(limit="64M")
    kept = []
    began = time.monotonic()
    # Garbage to be found each time, and each time a little less of it.
    with pytest.raises(MemoryError, match="at its limit"):
        while time.monotonic() < began + 30:
            kept.append(g.Vertex.batch(2_000))
            for _ in range(4):
                g.Vertex.batch(2_000)
    assert time.monotonic() - began < 20
    assert len(kept) * 2_000 * 32 > 48 << 20
    kept.clear()
    g.heap.collect()
    g.Vertex.batch(100_000)
    g.heap.verify()
