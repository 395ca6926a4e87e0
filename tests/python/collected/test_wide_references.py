"""References of 64 bits: what they reach beyond those of 32, and both widths side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import trimalloc

from .shapes import graph_classes

GIB = 1 << 30
# The first granule that 32 bits do not reach.
BEYOND = 1 << 32


def far_classes() -> Any:
    """Return a heap as graph_classes does, whose next records lie beyond what 32 bits reach."""
    g = graph_classes(references=64)
    g.heap._leave_out(64 * GIB)
    return g


def run(code: str) -> str:
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- beyond 64 GiB ------------------------------------------------------------------------------


def test_records_beyond_64_gib_are_records_like_others() -> None:
    g = far_classes()
    vertex = g.Vertex(id=7, score=0.5, name=b"far")
    assert g.heap.to_reference(vertex) > BEYOND
    edge = g.Edge(to=vertex)
    vertex.edges = edge
    del edge
    assert g.heap.from_reference(g.heap.to_reference(vertex)) == vertex
    weak = g.heap.weakref(vertex.edges)
    g.heap.collect()
    assert (vertex.edges.to.id, vertex.name) == (7, b"far")
    assert weak() == vertex.edges
    vertex.edges = None
    g.heap.collect()
    assert weak() is None
    g.heap.verify()


def test_batches_beyond_64_gib_have_columns() -> None:
    g = far_classes()
    many = g.Vertex.batch(50_000)
    assert min(memoryview(many)) > BEYOND
    many.id = range(50_000)
    edges = g.Edge.batch(50_000)
    edges.to = many[::-1]
    many.edges = edges
    del edges
    g.heap.collect()
    assert list(many.edges.to.id) == list(range(49_999, -1, -1))
    assert sum(int(block["id"][block.live].sum()) for block in g.heap.scan(g.Vertex)) == sum(
        range(50_000)
    )


def test_containers_beyond_64_gib_hold_what_is_there() -> None:
    g = far_classes()
    index = g.heap.map(bytes, g.Vertex)
    ordered = g.heap.trie(g.Vertex)
    queue = g.heap.priority_queue(trimalloc.int64, g.Vertex)
    items = g.heap.list(g.Vertex)
    for i in range(3000):
        one = g.Vertex(id=i)
        index[b"%d" % i] = ordered[b"%d" % i] = one
        queue.push(-i, one)
        items.append(one)
    g.heap.collect()
    assert [index[b"%d" % i].id for i in range(3000)] == list(range(3000))
    assert ordered.longest_prefix(b"2999 and more")[1] == index[b"2999"]
    assert queue.pop() == (-2999, items[2999])
    g.heap.verify()


def test_walks_and_questions_go_beyond_64_gib() -> None:
    g = graph_classes(references=64)
    near = g.Vertex(id=0)
    g.heap._leave_out(64 * GIB)
    at = near
    for i in range(1, 30_000):
        at.edges = g.Edge(to=g.Vertex(id=i))
        at = at.edges.to
    assert g.heap.to_reference(near) < BEYOND < g.heap.to_reference(at)
    walk = g.heap.breadth_first(near)
    assert list(walk.records.id) == list(range(30_000))
    assert g.heap.count_reachable(near) == 30_000
    path = g.heap.why(at.edges if at.edges is not None else walk.records[-1])
    assert path is not None
    del walk
    assert g.heap.histogram(retained=True).rows[0].records in (29_999, 30_000)


def test_regions_and_freed_records_beyond_64_gib() -> None:
    g = far_classes()
    with g.heap.region() as region:
        kept = g.Vertex(id=1)
        gone = g.Vertex(id=2)
        region.keep(kept)
    assert region.freed == 1
    assert kept.id == 1
    with pytest.raises(ReferenceError):
        _ = gone.id
    g.heap.free(kept)
    g.heap.freeze()
    g.heap.verify()


# --- limits -------------------------------------------------------------------------------------


def test_more_than_32_bits_reach_is_an_error_that_says_what_helps() -> None:
    g = graph_classes(references=32)
    g.heap._leave_out(64 * GIB - (16 << 20))
    first = g.Vertex(id=1)
    with pytest.raises(MemoryError, match=r"32-bit references reach, 65536 MiB.*references=64"):
        g.Vertex.batch(10_000_000)
    assert first.id == 1
    g.heap.collect()
    assert len(g.Vertex.batch(1000)) == 1000  # what the batch had is free again


def test_a_limit_comes_before_what_references_reach() -> None:
    g = graph_classes(references=64, limit="8M")
    with pytest.raises(MemoryError, match="at its limit of 8388608 bytes"):
        g.Vertex.batch(10_000_000)


def test_wide_heaps_do_with_few_addresses() -> None:
    code = """
import resource, trimalloc
resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))
heap = trimalloc.Heap(references=64)
one = heap.list(trimalloc.int64, range(100_000))
heap.collect()
print(one[99_999])
"""
    assert run(code) == "99999\n"


# --- both widths --------------------------------------------------------------------------------


def test_references_have_32_or_64_bits() -> None:
    assert [trimalloc.Heap(references=bits).references for bits in (32, 64)] == [32, 64]
    with pytest.raises(ValueError, match="32 or 64 bits, not 48"):
        trimalloc.Heap(references=48)
    with pytest.raises(ValueError, match="32 or 64 bits, not 16"):
        trimalloc.heap_library_path(references=16)


def test_the_second_extension_is_imported_by_the_first_heap_that_wants_it() -> None:
    code = """
import sys, trimalloc
trimalloc.Heap()
before = "trimalloc._collected_wide" in sys.modules
trimalloc.Heap(references=64)
print(before, "trimalloc._collected_wide" in sys.modules)
"""
    assert run(code) == "False True\n"


@pytest.mark.parametrize("bits", [32, 64])
def test_objects_of_both_widths_are_of_the_same_public_classes(bits: int) -> None:
    class Own(trimalloc.Heap):
        """A program's own kind of heap."""

    heap = Own(references=bits)

    @heap.record
    class Node(trimalloc.Record):
        number: int

    one = Node(3)
    index = heap.map(trimalloc.int64, Node)
    assert isinstance(heap, Own)
    assert type(heap).__name__ == "Own"
    assert isinstance(one, trimalloc.Record)
    assert isinstance(Node.batch(2), trimalloc.Batch)
    assert isinstance(heap.weakref(one), trimalloc.WeakReference)
    assert isinstance(index, trimalloc.Map)
    assert heap.c_layout(Node).size == 8


def test_references_take_four_bytes_or_eight() -> None:
    for bits, size, offsets in (
        (32, 16, {"left": 0, "right": 4, "key": 8}),
        (64, 24, {"left": 0, "right": 8, "key": 16}),
    ):
        heap = trimalloc.Heap(references=bits)

        @heap.record
        class Node:
            key: int
            left: Node | None
            right: Node | None

        layout = heap.c_layout(Node)
        assert (layout.size, dict(layout.offsets)) == (size, offsets)


def test_records_of_the_other_width_are_refused() -> None:
    narrow, wide = graph_classes(references=32), graph_classes(references=64)
    for one, other in ((narrow, wide), (wide, narrow)):
        edge, vertex, batch = one.Edge(), other.Vertex(), other.Vertex.batch(3)
        with pytest.raises(TypeError):
            edge.to = vertex
        with pytest.raises(TypeError):
            one.Edge.batch(3).to = batch
        with pytest.raises(TypeError, match="of this heap"):
            one.heap.weakref(vertex)
        with pytest.raises(TypeError, match="of this heap"):
            one.heap.to_reference(vertex)
        with pytest.raises(TypeError):
            one.heap.map(trimalloc.int64, one.Vertex)[1] = vertex
        with pytest.raises((TypeError, ValueError)):
            one.heap.breadth_first(vertex)
        with pytest.raises((TypeError, ValueError)):
            one.heap.breadth_first(batch)
        with pytest.raises((TypeError, ValueError)):
            list(one.heap.scan(other.Vertex))
        with pytest.raises((TypeError, ValueError)):
            one.heap.save("/nowhere", {"vertex": vertex})
        with pytest.raises(TypeError):

            @one.heap.record
            class Derived(other.Vertex):  # type: ignore[misc, name-defined]
                more: int

        with pytest.raises(TypeError):

            class Both(one.Vertex, other.Vertex):  # type: ignore[misc, name-defined]
                pass

    for g in (narrow, wide):
        g.heap.verify()


def test_a_file_knows_its_width(tmp_path: Path) -> None:
    for bits in (64, 32):
        g = graph_classes(references=bits)
        top = g.Vertex(id=bits, name=b"top")
        top.edges = g.Edge(to=top)
        g.heap.save(tmp_path / f"{bits}.heap", {"top": top, "all": g.Vertex.batch(10)})
    for bits in (32, 64):
        for mode in ("r", "c"):
            opened: trimalloc.Heap = trimalloc.open_heap(
                tmp_path / f"{bits}.heap", mode, verify=True
            )
            assert opened.references == bits
            assert opened.roots["top"].edges.to.id == bits
            assert len(opened.roots["all"]) == 10
    # A program's class is laid out as the file needs it.
    other = graph_classes(references=32)
    again = trimalloc.open_heap(tmp_path / "64.heap", classes=[other.Vertex, other.Edge])
    assert again.roots["top"].doubled() == 128


def test_a_child_goes_on_with_heaps_of_both_widths() -> None:
    heaps = [graph_classes(references=bits) for bits in (32, 64)]
    kept = [g.Vertex(id=7) for g in heaps]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for g, one in zip(heaps, kept, strict=True):
                g.Vertex.batch(100_000)
                g.heap.collect()
                assert one.id == 7
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    for g in heaps:
        g.heap.collect()
        g.heap.verify()


def test_both_widths_have_domains_of_their_own() -> None:
    domains = [trimalloc.Heap(references=bits).tracemalloc_domain for bits in (32, 64, 32, 64)]
    assert len(set(domains)) == 4
