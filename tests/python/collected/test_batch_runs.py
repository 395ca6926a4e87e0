"""Batches of neighbouring records, which are runs: every operation beside an array of the same."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

import trimalloc

from .shapes import graph_classes

COUNT = 30_000  # more than the GIL is held for, and more than one run of pages


@pytest.fixture
def fragmented() -> SimpleNamespace:
    """Classes whose pages have holes of many lengths, so that a batch is many runs."""
    g = graph_classes()
    first = g.Vertex.batch(COUNT)
    first.id = -1
    chosen = numpy.random.default_rng(5).random(COUNT) < 0.3
    g.kept = first[chosen]
    del first
    g.heap.collect()
    return g


def test_runs_and_an_array_of_references_agree(fragmented: SimpleNamespace) -> None:
    g = fragmented
    runs = g.Vertex.batch(COUNT)
    array = runs[:]
    assert memoryview(runs).tolist() == memoryview(array).tolist()
    assert len(set(memoryview(runs).tolist())) == COUNT
    runs.id = numpy.arange(COUNT)
    assert (array.id == numpy.arange(COUNT)).all()
    array.score = numpy.arange(COUNT) / 2
    assert (runs.score == numpy.arange(COUNT) / 2).all()
    for position in (0, 1, 511, 512, 17_003, COUNT - 1, -1, -COUNT):
        assert runs[position] == array[position]
    picked = numpy.random.default_rng(6).integers(-COUNT, COUNT, 1000)
    assert runs[picked].id.tolist() == array[picked].id.tolist()
    assert runs[COUNT - 7 : 3 : -11].id.tolist() == array[COUNT - 7 : 3 : -11].id.tolist()
    assert set(g.kept.id.tolist()) == {-1}  # nobody else's records were written
    g.heap.verify()


def test_runs_are_small_and_one_root() -> None:
    g = graph_classes()
    many = g.Edge.batch(1_000_000)
    assert g.heap.stats().batch_bytes < 100_000
    many.next = many
    g.heap.collect()
    assert g.heap.stats().heap_bytes == 16_000_000
    g.heap.verify()
    del many
    g.heap.collect()
    assert g.heap.stats().heap_bytes == 0


def test_references_between_runs(fragmented: SimpleNamespace) -> None:
    g = fragmented
    vertices = g.Vertex.batch(COUNT)
    vertices.id = numpy.arange(COUNT)
    edges = g.Edge.batch(COUNT)
    edges.to = vertices
    vertices.edges = edges[::-1]
    del vertices
    g.heap.collect()
    g.heap.verify()
    assert (edges.to.id == numpy.arange(COUNT)).all()
    assert (edges.to.edges.to.id == numpy.arange(COUNT)[::-1]).all()


def test_a_batch_of_single_holes_is_an_array(fragmented: SimpleNamespace) -> None:
    g = fragmented
    many = g.Edge.batch(100_000)
    odd = many[1::2]
    del many
    g.heap.collect()
    filled = g.Edge.batch(50_000)
    assert not set(memoryview(filled).tolist()) & set(memoryview(odd).tolist())
    filled.next = odd
    assert (numpy.asarray(filled.next) == numpy.asarray(odd)).all()


def test_a_freed_record_of_a_run_reads_as_none() -> None:
    g = graph_classes()
    many = g.Vertex.batch(COUNT)
    g.heap.free(many[20_000])
    assert many[20_000] is None
    assert many[19_999] is not None
    with pytest.raises(ReferenceError, match="index 20000 has been freed"):
        many.id = 7
    with pytest.raises(ReferenceError, match="index 20000 has been freed"):
        many.edges  # noqa: B018


def test_a_stale_run_names_no_record_of_another_class() -> None:
    g = graph_classes()
    with g.heap.region():
        stale = g.Vertex.batch(COUNT)
    g.heap.collect()
    edges = g.Edge.batch(3 * COUNT)  # in the same pages
    assert set(memoryview(edges).tolist()) & set(memoryview(stale).tolist())
    assert [stale[i] for i in range(0, COUNT, 1000)] == [None] * (COUNT // 1000)
    for write in ("id", "edges"):
        with pytest.raises(ReferenceError, match="index 0 has been freed"):
            setattr(stale, write, 7 if write == "id" else None)
    fresh = g.Edge.batch(COUNT)
    with pytest.raises(ReferenceError, match="index 0 has been freed"):
        fresh.to = stale
    assert edges[0].to is None
    g.heap.verify()


def test_optional_numbers_and_small_widths() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Sample:
        flag: trimalloc.uint8
        level: trimalloc.int16 | None
        wide: trimalloc.complex128

    many = Sample.batch(1000)
    assert many[5].level is None
    many.level = numpy.arange(1000)
    many.flag = numpy.arange(1000) % 251
    many.wide = 1j
    assert [many[i].level for i in (0, 5, 999)] == [0, 5, 999]
    assert (many.flag == numpy.arange(1000) % 251).all()
    assert many[999].wide == 1j
    assert (many.level == numpy.arange(1000)).all()


def test_runs_made_while_collecting_stay(fragmented: SimpleNamespace) -> None:
    g = fragmented
    done = threading.Event()

    def collect() -> None:
        while not done.is_set():
            g.heap.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        kept: list[Any] = []
        for number in range(40):
            many = g.Vertex.batch(COUNT)
            many.id = number
            kept = [*kept[-3:], many]
            assert all((batch.id == batch[0].id).all() for batch in kept)
    finally:
        done.set()
        collector.join()
    g.heap.verify()


def test_runs_are_saved_and_walked(fragmented: SimpleNamespace, tmp_path: Path) -> None:
    g = fragmented
    many = g.Vertex.batch(COUNT)
    many.id = numpy.arange(COUNT)
    assert g.heap.count_reachable(many) == COUNT
    assert "batch" in str(g.heap.why(many[123]))
    g.heap.save(tmp_path / "runs.tmh", roots={"many": many})
    opened = trimalloc.open_heap(tmp_path / "runs.tmh")
    assert (opened.roots["many"].id == numpy.arange(COUNT)).all()
    by_number = g.heap.map(trimalloc.int64, g.Vertex)
    by_number.set_many(numpy.arange(COUNT), many)
    assert by_number[17] == many[17]
