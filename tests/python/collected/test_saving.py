"""A heap that is saved and opened is the same heap: every kind of field, roots, graphs."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trimalloc

from .shapes import graph_classes

NUMBERS = {
    "bool_": True,
    "int8": -8,
    "int16": -16_000,
    "int32": -(1 << 31),
    "int64": -(1 << 63),
    "uint8": 255,
    "uint16": 65535,
    "uint32": (1 << 32) - 1,
    "uint64": (1 << 64) - 1,
    "float16": 0.5,
    "float32": 1.25,
    "float64": 1e300,
    "complex64": 1 + 2j,
    "complex128": 1e300 - 1e-300j,
}


def test_every_kind_of_field_comes_back(tmp_path: Path) -> None:
    heap = trimalloc.Heap()
    Numbers = heap.record(  # noqa: N806
        type("Numbers", (), {"__annotations__": {n: getattr(trimalloc, n) for n in NUMBERS}})
    )

    @heap.record
    class Others:
        fixed: trimalloc.Array[trimalloc.float32, 3]
        maybe: trimalloc.int32 | None
        other: trimalloc.int32 | None
        data: trimalloc.Bytes
        text: trimalloc.Str | None
        many: trimalloc.Vec[trimalloc.int16]
        links: trimalloc.Vec[Others]  # type: ignore[name-defined]
        any: Numbers | None  # type: ignore[valid-type]

    numbers = Numbers(**NUMBERS)
    one = Others(fixed=[1, 2, 3], maybe=7, data=b"\0bytes", text="schön", many=range(500))
    one.links = [one, None, Others(data=b"x" * 100_000)]
    one.any = numbers
    heap.save(tmp_path / "all.tmh", {"one": one})
    found = trimalloc.open_heap(tmp_path / "all.tmh").roots["one"]
    for name, value in NUMBERS.items():
        assert getattr(found.any, name) == value, name
    assert found.fixed.tolist() == [1, 2, 3]
    assert (found.maybe, found.other) == (7, None)
    assert (found.data, found.text) == (b"\0bytes", "schön")
    assert found.many.tolist() == list(range(500))
    assert found.links[0] == found
    assert found.links[1] is None
    assert found.links[2].data == b"x" * 100_000
    assert found.links[2].text is None


def test_batches_come_back_without_a_copy(tmp_path: Path) -> None:
    g = graph_classes()
    many = g.Vertex.batch(100_000)
    many.id = numpy.arange(100_000)
    many.edges = g.Edge.batch(100_000)
    many.edges.to = many[::-1]
    g.heap.save(tmp_path / "graph", {"all": many, "none": many[:0], "odd": many[1::2]})
    shared = trimalloc.open_heap(tmp_path / "graph")
    assert list(shared.roots) == ["all", "none", "odd"]
    assert [len(batch) for batch in shared.roots.values()] == [100_000, 0, 50_000]
    found = shared.roots["all"]
    assert (found.id == numpy.arange(100_000)).all()
    assert (found.edges.to.id == numpy.arange(100_000)[::-1]).all()
    assert found[5].edges.to.id == 99_994
    assert found[10:20].id.tolist() == list(range(10, 20))
    assert (shared.roots["odd"].id == numpy.arange(1, 100_000, 2)).all()
    assert shared.stats().batch_bytes < 2_000_000
    blocks = list(shared.scan(shared.classes["Vertex"]))
    assert sum(int(block.live.sum()) for block in blocks) == 100_000
    assert sum(int(block["id"][block.live].sum()) for block in blocks) == sum(range(100_000))
    assert len(blocks) <= 2  # the page that finds weak references may lie between
    with pytest.raises(KeyError):
        shared.roots["other"]


def test_everything_that_lives_is_saved_and_nothing_else(tmp_path: Path) -> None:
    g = graph_classes(gc_percent=None)
    kept = g.Vertex(id=1)
    for i in range(1000):
        g.Vertex(id=i)
    g.heap.save(tmp_path / "graph")
    shared = trimalloc.open_heap(tmp_path / "graph")
    assert not shared.roots
    (block,) = shared.scan(shared.classes["Vertex"])
    assert block["id"][block.live].tolist() == [kept.id]


def test_what_is_saved_beside_threads_is_one_moment(tmp_path: Path) -> None:
    g = graph_classes()
    pairs = [(g.Place(id=0), g.Place(id=0)) for _ in range(3)]
    done = threading.Event()

    def link(one: Any, other: Any) -> None:
        number = 0
        while not done.is_set():
            number += 1
            fresh = g.Place(id=number, name=str(number).encode())
            one.twin = fresh
            other.twin = fresh

    threads = [threading.Thread(target=link, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    try:
        for round_ in range(20):
            path = tmp_path / str(round_)
            g.heap.save(path, {f"{i}{j}": pairs[i][j] for i in range(3) for j in range(2)})
            opened = trimalloc.open_heap(path, verify=True)
            opened.verify()
            for i in range(3):
                first, second = (opened.roots[f"{i}{j}"].twin for j in range(2))
                if first is not None and second is not None:
                    assert first.id - second.id in (0, 1)
                    assert (first.name, second.name) == (b"%d" % first.id, b"%d" % second.id)
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_the_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    g = graph_classes()
    path = tmp_path / "graph"
    g.heap.save(path, {"one": g.Vertex(id=1)})
    first = trimalloc.open_heap(path)
    g.heap.save(path, {"one": g.Vertex(id=2)})
    assert first.roots["one"].id == 1  # the old file, for as long as it is open
    assert trimalloc.open_heap(path).roots["one"].id == 2
    assert list(tmp_path.iterdir()) == [path]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_save_that_fails_changes_nothing(tmp_path: Path) -> None:
    g = graph_classes()
    path = tmp_path / "graph"
    with pytest.raises(FileNotFoundError):
        g.heap.save(tmp_path / "missing" / "graph")
    g.heap.save(path, {"one": g.Vertex(id=1)})
    one = g.Vertex(id=2)
    g.heap.free(other := g.Vertex())
    with pytest.raises(ReferenceError):
        g.heap.save(path, {"one": one, "other": other})
    assert list(tmp_path.iterdir()) == [path]
    assert trimalloc.open_heap(path).roots["one"].id == 1


def test_what_is_no_root_is_refused(tmp_path: Path) -> None:
    g, other = graph_classes(), graph_classes()
    for wrong, error in [
        ({"one": 5}, TypeError),
        ({1: g.Vertex()}, TypeError),
        ({"one": other.Vertex()}, ValueError),
        ({"one": other.Vertex.batch(3)}, ValueError),
    ]:
        with pytest.raises(error, match="root"):
            g.heap.save(tmp_path / "graph", wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_default_that_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Odd:
        value: trimalloc.int64 = numpy.int64(5)  # type: ignore[assignment]

    with pytest.raises(TypeError, match=r"Odd\.value"):
        heap.save(tmp_path / "graph")


def test_defaults_are_saved(tmp_path: Path) -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Defaults:
        a: trimalloc.int64 = 5
        b: trimalloc.Bytes = b"\xff"
        c: trimalloc.complex128 = 1j
        d: trimalloc.Str | None = None
        e: trimalloc.Array[trimalloc.int8, 2] = (1, 2)  # type: ignore[assignment]

    heap.save(tmp_path / "graph")
    opened = trimalloc.open_heap(tmp_path / "graph", "c")
    one = opened.classes["Defaults"]()
    assert (one.a, one.b, one.c, one.d, one.e.tolist()) == (5, b"\xff", 1j, None, [1, 2])


# --- graphs ---------------------------------------------------------------------------------

_VERTICES = st.lists(
    st.tuples(st.integers(-(1 << 63), (1 << 63) - 1), st.none() | st.binary(max_size=300)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), vertices=_VERTICES, mode=st.sampled_from(["r", "c"]))
def test_graphs_come_back(data: st.DataObject, vertices: list, mode: str) -> None:
    g = graph_classes()
    position = st.integers(0, len(vertices) - 1)
    edges = data.draw(st.lists(st.tuples(position, position), max_size=60))
    made = [g.Vertex(id=number, name=name) for number, name in vertices]
    for start, end in edges:
        made[start].edges = g.Edge(to=made[end], next=made[start].edges)
    roots = data.draw(st.lists(position, unique=True, max_size=5))
    dropped = data.draw(st.booleans())  # what no root reaches is garbage then
    held = {str(i): made[i] for i in roots}
    if dropped:
        del made
    path = Path(f"/dev/shm/trimalloc-test-{os.getpid()}")
    try:
        g.heap.save(path, held)
        opened = trimalloc.open_heap(path, mode, verify=True)  # type: ignore[arg-type]
    finally:
        path.unlink(missing_ok=True)
    opened.verify()
    opened.collect()
    seen: dict[int, object] = {}
    queue = [(i, opened.roots[str(i)]) for i in roots]
    while queue:
        i, vertex = queue.pop()
        if i in seen:
            assert vertex == seen[i]
            continue
        seen[i] = vertex
        assert (vertex.id, vertex.name) == vertices[i]
        edge = vertex.edges
        for start, end in reversed(edges):
            if start == i:
                queue.append((end, edge.to))
                edge = edge.next
        assert edge is None
    blocks = opened._scan(opened.classes["Vertex"], False)
    live = sum(block.live_mask().count(1) for block in blocks)
    assert live == (len(seen) if dropped else len(vertices))
