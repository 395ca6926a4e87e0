"""`tracemalloc` sees a heap's memory under a domain of its own, with who made it."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from tests.python.collected.shapes import graph_classes

import trimalloc

PAGE = 8192


@pytest.fixture(autouse=True)
def tracing() -> Iterator[None]:
    tracemalloc.start(5)
    yield
    tracemalloc.stop()


def traces_of(domain: int) -> list[tracemalloc.Trace]:
    gc.collect()
    only = tracemalloc.DomainFilter(inclusive=True, domain=domain)
    return list(tracemalloc.take_snapshot().filter_traces([only]).traces)


def traced_bytes(heap: Any) -> int:
    return sum(one.size for one in traces_of(heap.tracemalloc_domain))


def test_pages_of_records_are_traced_to_who_made_them() -> None:
    g = graph_classes()
    kept = [g.Vertex(id=i) for i in range(5000)]
    traces = traces_of(g.heap.tracemalloc_domain)
    assert sum(one.size for one in traces) == g.heap.stats().span_bytes > 0
    assert {one.size for one in traces} == {PAGE}
    assert all(any(frame.filename == __file__ for frame in one.traceback) for one in traces)
    assert len(kept) == 5000


def test_what_is_freed_is_forgotten() -> None:
    g = graph_classes()
    kept = [g.Vertex(id=i) for i in range(1000)]
    dropped = g.Edge.batch(100_000)
    assert traced_bytes(g.heap) > 1_600_000
    del dropped
    g.heap.collect()
    assert 0 < traced_bytes(g.heap) == g.heap.stats().span_bytes
    with g.heap.region():
        for i in range(5000):
            g.Vertex(id=i)
    g.heap.collect()
    assert len(kept) == 1000
    assert traced_bytes(g.heap) == g.heap.stats().span_bytes


def test_collections_beside_the_program_forget_by_themselves() -> None:
    g = graph_classes()
    for _ in range(40):
        g.Vertex.batch(100_000)
    g.heap.collect()
    assert traced_bytes(g.heap) == g.heap.stats().span_bytes == 0


def test_the_array_of_a_batch_is_traced_as_long_as_the_batch_lives(references: int) -> None:
    size = 100_000 * references // 8
    g = graph_classes()
    many = g.Edge.batch(100_000)
    of_spans = g.heap.stats().span_bytes
    before = traced_bytes(g.heap)
    assert of_spans < before < of_spans + 2 * PAGE
    selected = many[::-1]
    (largest,) = (one for one in traces_of(g.heap.tracemalloc_domain) if one.size == size)
    assert __file__ in {frame.filename for frame in largest.traceback}
    del selected
    assert traced_bytes(g.heap) == before
    assert len(many) == 100_000


def test_each_heap_has_its_own_domain() -> None:
    one, other = graph_classes(), graph_classes()
    kept = [one.Vertex(), other.Vertex(), other.Edge()]
    assert one.heap.tracemalloc_domain != other.heap.tracemalloc_domain
    assert traced_bytes(one.heap) == PAGE
    assert traced_bytes(other.heap) == 2 * PAGE
    assert len(kept) == 3


def test_a_heap_that_goes_leaves_no_traces() -> None:
    g = graph_classes()
    domain = g.heap.tracemalloc_domain
    kept = g.Vertex.batch(10_000)
    assert len(traces_of(domain)) > 10
    del g, kept
    assert traces_of(domain) == []


def test_arrays_and_containers_are_traced() -> None:
    g = graph_classes()
    one = g.Vertex(name=b"x" * 500_000)
    index = g.heap.map(trimalloc.int64, trimalloc.int64)
    index.set_many(numpy.arange(100_000), numpy.arange(100_000))
    for i in range(50_000):
        index[-i] = i
    g.heap.collect()
    assert traced_bytes(g.heap) == g.heap.stats().span_bytes > 2_000_000
    assert len(one.name or b"") == 500_000


def test_what_was_made_before_tracing_is_not_seen() -> None:
    tracemalloc.stop()
    g = graph_classes()
    before = g.Vertex.batch(10_000)
    tracemalloc.start()
    assert traced_bytes(g.heap) == 0
    after = g.Edge()
    assert traced_bytes(g.heap) == PAGE
    tracemalloc.stop()
    g.heap.collect()
    del before
    g.heap.collect()
    tracemalloc.start()
    assert traced_bytes(g.heap) == 0
    assert after.to is None


def test_threads_that_make_and_collect_leave_what_there_is() -> None:
    g = graph_classes()
    kept = []
    index = numpy.arange(1000)

    def churn(number: int) -> None:
        for i in range(30):
            g.Vertex.batch(20_000)
            numbers = numpy.arange(5_000 * number)
            g.heap.map(trimalloc.int64, trimalloc.int64).set_many(numbers, numbers)
            if i % 10 == 0:
                kept.extend(g.Edge.batch(1000)[index])

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        g.heap.collect()
    for thread in threads:
        thread.join()
    g.heap.collect()
    assert traced_bytes(g.heap) == g.heap.stats().span_bytes > 0
