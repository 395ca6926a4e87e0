"""Regions, dangling references and leaks."""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import numpy
import pytest

from .shapes import graph_classes


def test_what_is_made_in_a_region_goes_with_it() -> None:
    g = graph_classes()
    outside = g.Vertex(id=1)
    with g.heap.region() as region:
        inside = g.Vertex(id=2, edges=g.Edge(to=outside))
        many = g.Vertex.batch(1000)
        g.heap.collect()  # they live until the end, whoever holds them
        del many
        assert inside.edges.to.id == 1
    assert region.freed == 1002
    assert outside.id == 1
    with pytest.raises(ReferenceError):
        _ = inside.id
    assert {row.name: row.records for row in g.heap.histogram().rows} == {"Vertex": 1}
    g.heap.verify()


def test_a_reference_into_a_region_reads_as_none() -> None:
    g = graph_classes()
    outside = g.Vertex(id=1)
    with g.heap.region():
        outside.edges = g.Edge(to=outside)
    assert outside.edges is None


def test_a_stale_batch_does_not_write_into_records_of_another_class() -> None:
    g = graph_classes()
    with g.heap.region():
        stale = g.Vertex.batch(10_000)
    g.heap.collect()
    edges = g.Edge.batch(50_000)  # in the same pages
    stale = stale[numpy.isin(numpy.asarray(stale), numpy.asarray(edges))]
    assert len(stale) > 0
    with pytest.raises(ReferenceError, match="has been freed"):
        stale.id = 7
    g.heap.verify()


def test_what_is_kept_lives_on() -> None:
    g = graph_classes(checked=True)
    with g.heap.region() as region:
        vertices = [g.Vertex(id=i) for i in range(10)]
        region.keep(vertices[3], vertices[9])
    assert region.freed == 8
    assert (vertices[3].id, vertices[9].id) == (3, 9)


def test_containers_are_left_out_of_regions() -> None:
    g = graph_classes()
    with g.heap.region() as region:
        numbers = g.heap.map(int, int)
        numbers[1] = 2
        several = type(numbers).batch(3)
        vertices = g.heap.list(g.Vertex, [g.Vertex(id=1)])
    assert region.freed == 1
    assert list(vertices) == [None]
    g.heap.collect()
    others = [g.heap.map(int, int, {i: i}) for i in range(1000)]
    assert dict(numbers.items()) == {1: 2}
    several[0][3] = 4
    assert [dict(one.items()) for one in several] == [{3: 4}, {}, {}]
    assert all(len(one) == 1 for one in others)
    g.heap.verify()


def test_regions_nest_and_end_when_the_block_raises() -> None:
    g, other = graph_classes(), graph_classes()
    outer, inner = g.heap.region(), g.heap.region()
    with outer:
        g.Vertex()
        with pytest.raises(KeyError), inner:
            g.Vertex()
            g.Vertex()
            other.Vertex()  # of another heap: no region of this one's
            raise KeyError
        g.Vertex()
    assert (outer.freed, inner.freed) == (2, 2)
    with pytest.raises(RuntimeError, match="entered once"), outer:
        pass


def test_a_region_that_is_not_entered_says_so() -> None:
    g = graph_classes()
    region = g.heap.region()
    for misuse in (lambda: region.keep(g.Vertex()), lambda: region.__exit__(None, None, None)):
        with pytest.raises(RuntimeError, match="not entered"):
            misuse()


def test_another_thread_is_not_in_the_region() -> None:
    g = graph_classes()
    made = []
    with g.heap.region() as region:
        thread = threading.Thread(target=lambda: made.append(g.Vertex(id=7)))
        thread.start()
        thread.join()
    assert region.freed == 0
    assert made[0].id == 7
    ends_once = "^a region ends once, in the thread that opened it$"
    with g.heap.region() as region, ThreadPoolExecutor(1) as another:
        ending = another.submit(region.__exit__, None, None, None)
        with pytest.raises(RuntimeError, match=ends_once):
            ending.result()


def test_regions_of_one_thread_end_in_any_order() -> None:
    g = graph_classes()

    def task() -> Generator[Any]:
        with g.heap.region() as region:
            yield region
            g.Vertex()
            yield region

    first, second, third = task(), task(), task()
    regions = [next(first), next(second), next(third)]
    del second  # broken off: it ends between the others
    next(first)  # what it makes is for the innermost
    first.close()
    next(third)
    third.close()
    g.Vertex()
    assert [one.freed for one in regions] == [0, 0, 2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_region_may_be_dropped_by_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("sys.unraisablehook", lambda raised: seen.append(str(raised.exc_value)))
    g = graph_classes()

    def task() -> Generator[Any]:
        with g.heap.region():
            yield g.Vertex()

    running = [task(), task()]
    both_open, one_dropped = threading.Event(), threading.Event()

    def work() -> None:
        list(map(next, running))
        both_open.set()
        one_dropped.wait()
        kept = [g.Vertex(id=i) for i in range(10_000)]
        assert [one.id for one in kept] == list(range(10_000))
        with g.heap.region() as region:
            g.Vertex.batch(100)
        freed.append(region.freed)

    freed: list[int] = []
    thread = threading.Thread(target=work)
    thread.start()
    both_open.wait()
    running.pop()  # the innermost
    one_dropped.set()
    thread.join()
    assert freed == [100]
    running.pop()  # its thread has ended
    assert seen == 2 * ["a region ends once, in the thread that opened it"]
    g.heap.collect()
    assert g.heap.stats().heap_bytes == 0
    with g.heap.region() as region:
        g.Vertex()
    assert region.freed == 1
    g.heap.verify()


def test_a_region_keeps_records_in_its_thread_until_it_ends() -> None:
    g = graph_classes()
    vertex = g.Vertex()
    refused = "^a region keeps records until it ends, in the thread that opened it$"
    with g.heap.region() as region, ThreadPoolExecutor(1) as another:
        keeping = another.submit(region.keep, vertex)
        with pytest.raises(RuntimeError, match=refused):
            keeping.result()
    with pytest.raises(RuntimeError, match=refused):
        region.keep(vertex)


def test_checked_mode_names_who_refers_to_a_freed_record() -> None:
    g = graph_classes(checked=True)
    outside = g.Vertex(id=5)
    with (
        pytest.raises(ReferenceError, match=r"field 'edges' of Vertex\(id=5"),
        g.heap.region(),
    ):
        outside.edges = g.Edge()
    outside.edges = None
    g.heap.collect()
    edge = g.Edge(to=outside)
    g.heap.free(outside)
    with pytest.raises(ReferenceError, match="field 'to' of Edge"):
        g.heap.collect()
    edge.to = None
    g.heap.collect()


def test_leaks_are_what_nobody_reaches_or_has_freed() -> None:
    g = graph_classes()
    kept = g.Vertex(id=1, edges=g.Edge())
    freed = g.Vertex(id=2)
    g.heap.free(freed)
    assert g.heap.leaks().rows == ()
    for i in range(20):
        g.Vertex(id=100 + i)
    first = g.Edge()
    first.next = g.Edge(next=first)
    del first
    leaks = g.heap.leaks()
    assert leaks.records == 22
    rows = {row.record_class: row for row in leaks.rows}
    assert (rows[g.Vertex].records, rows[g.Vertex].bytes) == (20, 640)
    assert [one.id for one in rows[g.Vertex].examples] == list(range(100, 110))
    assert rows[g.Edge].records == 2
    assert "22" not in str(leaks) and "20" in str(leaks)
    g.heap.collect()
    assert g.heap.leaks().records == 0  # those that are examples live now
    del leaks, rows
    gc.collect()
    assert g.heap.leaks().records == 12
    g.heap.collect()
    assert g.heap.leaks().records == 0
    assert kept.id == 1


@pytest.mark.parametrize("seed", range(10))
def test_regions_against_a_model(seed: int) -> None:
    random = Random(seed)
    g = graph_classes(gc_percent=20)
    g.heap._collect_always(seed % 2 == 0)
    kept = []
    for step in range(60):
        with g.heap.region() as region:
            made = [g.Vertex(id=step * 100 + i, name=b"n") for i in range(random.randrange(1, 50))]
            for vertex in made:
                vertex.edges = g.Edge(to=random.choice(made))
            lucky = random.sample(made, random.randrange(min(3, len(made)) + 1))
            region.keep(*lucky)
            kept += [(one, one.id) for one in lucky]
            expected = 2 * len(made) - len(lucky)
        assert region.freed == expected
        for one, number in kept:
            assert (one.id, one.name) == (number, b"n")
            one.edges = None  # what it led to has gone
        del made, vertex, lucky
    g.heap.collect()
    g.heap.verify()
    rows = {row.name: row.records for row in g.heap.histogram().rows}
    assert rows.get("Vertex", 0) == len(kept)
    assert rows.get("Edge", 0) == 0
