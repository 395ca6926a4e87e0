"""Batches and blocks: columns in and out, selection, walking memory."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from typing import Any

import numpy
import pytest

import trimalloc

from .shapes import MANY_WIDES, graph_classes, wide_and_other


def _numbers() -> tuple[trimalloc.Heap, Any]:
    """Return a heap, and a batch of three with a field of each kind of number."""
    heap = trimalloc.Heap()

    @heap.record
    class Numbers:
        whole: trimalloc.int64
        half: trimalloc.float16
        single: trimalloc.float32
        double: trimalloc.float64
        complex: trimalloc.complex64
        flag: trimalloc.bool_
        row: trimalloc.Array[trimalloc.int32, 2]  # type: ignore[valid-type]

    return heap, Numbers.batch(3)


def test_columns_go_in_and_out() -> None:
    g = graph_classes()
    many = g.Vertex.batch(1000)
    assert len(many) == 1000
    many.id = numpy.arange(1000)
    many.score = 0.5
    assert many.id.tolist() == list(range(1000))
    assert many.id.dtype == numpy.int64
    assert set(many.score.tolist()) == {0.5}
    assert many[17].id == 17
    assert many[-1].id == 999
    many[3].id = -3
    assert many.id[3] == -3
    assert [one.id for one in many[:5]] == [0, 1, 2, -3, 4]


def test_a_batch_is_one_root_for_its_records() -> None:
    g = graph_classes()
    many = g.Vertex.batch(10000)
    many.id = numpy.arange(10000)
    part = many[::100]
    many_edges = g.Edge.batch(100)
    many_edges.to = part
    del many, part
    g.heap.collect()
    g.heap.verify()
    assert many_edges.to.id.tolist() == list(range(0, 10000, 100))
    assert g.heap.stats().heap_bytes == 100 * 32 + 100 * 16
    del many_edges
    g.heap.collect()
    assert g.heap.stats().heap_bytes == 0


def test_masks_and_positions_select() -> None:
    g = graph_classes()
    many = g.Vertex.batch(10)
    many.id = numpy.arange(10)
    assert many[many.id % 2 == 0].id.tolist() == [0, 2, 4, 6, 8]
    assert many[[3, 3, -1]].id.tolist() == [3, 3, 9]
    with pytest.raises(IndexError, match="out of range"):
        many[[10]]
    with pytest.raises(IndexError, match="mask of 3"):
        many[numpy.array([True, False, True])]
    with pytest.raises(IndexError):
        many[10]


def test_references_that_are_none_stay_none() -> None:
    g = graph_classes()
    many = g.Vertex.batch(3)
    many[1].edges = g.Edge()
    edges = many.edges
    assert [one is None for one in edges] == [True, False, True]
    edges.to = many[0]
    assert many[1].edges.to == many[0]
    many.edges = None
    assert [one.edges for one in many] == [None, None, None]


def test_a_column_refuses_what_a_field_would() -> None:
    g = graph_classes()
    many = g.Vertex.batch(3)
    with pytest.raises(TypeError, match="whole numbers"):
        many.id = numpy.array([0.5, 1, 2])
    with pytest.raises(ValueError, match="3 records"):
        many.id = numpy.arange(4)
    with pytest.raises(OverflowError, match="does not fit"):
        many.id = numpy.array([1 << 63, 0, 0], dtype=numpy.uint64)
    with pytest.raises(TypeError, match="does not take records"):
        many.edges = many
    with pytest.raises(AttributeError, match="no field 'nope'"):
        many.nope  # noqa: B018
    with pytest.raises(ValueError, match="no negative length"):
        g.Vertex.batch(-1)
    assert len(g.Vertex.batch(0)) == 0


def test_what_is_absent_is_zero_in_a_column() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class Perhaps:
        number: trimalloc.int32 | None
        pair: trimalloc.Array[trimalloc.int16, 2] | None  # type: ignore[valid-type]

    many = Perhaps.batch(2)
    many.number, many.pair = 7, [1, 2]
    many[0].number = many[0].pair = None
    assert many.number.tolist() == [0, 7]
    assert many.pair.tolist() == [[0, 0], [1, 2]]
    assert [one.number for one in many] == [None, 7]


def test_python_s_own_numbers_are_refused_as_by_a_field() -> None:
    heap, many = _numbers()
    for name, value in {"single": 1e300, "half": 1e10, "complex": 1e300, "whole": 2**63}.items():
        for given in (value, [value, 0, 0]):
            with pytest.raises(OverflowError):
                setattr(many, name, given)
        with pytest.raises(OverflowError):
            setattr(many[0], name, value)
    for name, value in {"whole": 1.5, "single": 1j, "double": "1.5", "flag": "yes"}.items():
        for given in (value, [value, 0, 0], numpy.array([value, 0, 0], object)):
            with pytest.raises(TypeError):
                setattr(many, name, given)
        with pytest.raises(TypeError):
            setattr(many[0], name, value)
    many.whole, many.single, many.row = (
        [1, True, numpy.int8(3)],
        (0.5, 1, 2),
        [[1, 2], (3, 4), [5, 6]],
    )
    assert many.whole.tolist() == [1, 1, 3]
    assert many.single.tolist() == [0.5, 1, 2]
    assert many.row.tolist() == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(ValueError, match="rows of 2"):
        many.row = [[1], [2, 3, 4], [5, 6]]
    heap.verify()


def test_arrays_are_converted_to_the_same_kind_only() -> None:
    _, many = _numbers()
    with numpy.errstate(over="ignore"):
        many.single = numpy.array([0.1, 1e300, 3])  # as NumPy has it
    assert many.single.tolist() == [float(numpy.float32(0.1)), float("inf"), 3]
    many.complex = numpy.arange(3)
    many.double = numpy.float32(0.5)
    assert (many.complex.tolist(), many.double.tolist()) == ([0, 1, 2], [0.5] * 3)
    for name, kinds in {"whole": "f8 c16 U1 S1 M8[s]", "single": "c8 U1", "flag": "f4 c8"}.items():
        for kind in kinds.split():
            with pytest.raises(TypeError, match="are needed, not"):
                setattr(many, name, numpy.zeros(3, kind))
    many.whole = numpy.array([1, 2, 3], ">i2")
    assert many.whole.tolist() == [1, 2, 3]


def test_positions_are_whole_and_in_range() -> None:
    _, many = _numbers()
    for bad in ([0.5, 1.9], numpy.array([1.0]), ["0"]):
        with pytest.raises(TypeError):
            many[bad]
    for bad in (numpy.array([2**64 - 1], "u8"), [2**64], [3]):
        with pytest.raises(IndexError, match="out of range"):
            many[bad]
    assert len(many[[]]) == 0


def test_a_field_of_variable_length_is_no_column() -> None:
    g = graph_classes()
    many = g.Vertex.batch(3)
    assert not hasattr(many, "name")
    with pytest.raises(AttributeError, match="columns are of numbers and references"):
        many.name = b"x"


def test_columns_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    _, many = _numbers()
    many.whole, many.row = array("q", [3, 4, 5]), [[1, 2], [3, 4], [5, 6]]
    many.complex = [1j, 2, 3]
    assert (many.whole.format, many.whole.tolist()) == ("q", [3, 4, 5])
    assert list(many.row) == [1, 2, 3, 4, 5, 6]
    assert list(many.complex) == [1j, 2, 3]
    with pytest.raises(TypeError, match="of format 'q', not 'd'"):
        many.whole = array("d", [1.5, 2.5, 3.5])
    with pytest.raises(TypeError, match="of format 'f', not 'i'"):
        many.single = array("i", [1, 2, 3])
    many.whole = 7
    assert many.whole.tolist() == [7, 7, 7]
    assert many[[True, False, True]].whole.tolist() == [7, 7]
    assert len(many[[0, 1]]) == 2
    with pytest.raises(TypeError):
        many[[0.5]]
    with pytest.raises(IndexError, match="mask of 1"):
        many[[True]]


def test_a_column_of_freed_records_is_an_error() -> None:
    g = graph_classes()
    many = g.Vertex.batch(5)
    g.heap.free(many[2])
    with pytest.raises(ReferenceError, match="index 2"):
        many.id  # noqa: B018
    assert many[2] is None


def test_a_scan_shows_every_record_once() -> None:
    g = graph_classes()
    many = g.Vertex.batch(5000)
    many.id = numpy.arange(5000)
    one = g.Vertex(id=-1)
    found = numpy.concatenate([block["id"][block.live] for block in g.heap.scan(g.Vertex)])
    assert sorted(found.tolist()) == [-1, *range(5000)]
    assert one.id == -1
    assert [len(b) for b in g.heap.scan(g.Place)] == []


def test_a_block_keeps_its_memory() -> None:
    g = graph_classes()
    many = g.Vertex.batch(5000)
    many.id = numpy.arange(5000)
    blocks = list(g.heap.scan(g.Vertex, write=True))
    ids = [block["id"] for block in blocks]
    del many
    g.heap.collect()
    assert not any(block.live.any() for block in blocks)
    fresh = g.Vertex.batch(5000)
    assert sum(int(column.sum()) for column in ids) == sum(range(5000))
    ids[0][:] = 7
    del blocks, ids
    assert fresh.id.tolist() == [0] * 5000
    g.heap.collect()
    g.heap.verify()


def test_a_scan_is_read_only_unless_asked() -> None:
    g = graph_classes()
    kept = g.Vertex(id=1)
    (block,) = g.heap.scan(g.Vertex)
    with pytest.raises(ValueError, match="read-only"):
        block["id"][0] = 5
    (block,) = g.heap.scan(g.Vertex, write=True)
    block["id"][block.live] += 1
    assert kept.id == 2


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """Threads run until they wait, so that one which waits goes on just when another lets it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("how", ["free", "region"])
@pytest.mark.usefixtures("undisturbed")
def test_no_record_is_freed_while_a_column_is_written(how: str) -> None:
    heap = trimalloc.Heap(gc_percent=None)
    classes = wide_and_other(heap)
    count = MANY_WIDES
    shared: list[Any] = []
    written: list[None] = []
    others: list[Any] = []

    def free_and_use_again() -> None:
        with heap.region() if how == "region" else contextlib.nullcontext():
            many = classes.Wide.batch(count)
            last = [many[i] for i in range(count - 200, count)] if how == "free" else []
            shared.append(many)
            del many
            while not written:
                time.sleep(0.0001)
            for record in last:
                heap.free(record)
        for _ in range(5000):
            others.append(classes.Other())

    thread = threading.Thread(target=free_and_use_again)
    thread.start()
    while not shared:
        time.sleep(0.001)
    values = numpy.full((count, 500), -1)
    shared[0].numbers = values  # once before, because the first time NumPy is looked for
    written.append(None)
    with contextlib.suppress(ReferenceError):  # they were freed before
        shared[0].numbers = values
    thread.join()
    assert {other.number for other in others} == {0}
    heap.verify()
