"""Samples: who made what lives, by label, class and line, with an honest error."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import threading
import weakref
from typing import Any

import numpy
import pytest
from tests.python.collected.shapes import graph_classes

import trimalloc

# So near that each record is one: a granule without has the probability exp(-16).
EACH = 1


def labels_of(heap: Any) -> dict[str, int]:
    """How many samples each label has."""
    return {row.key[0]: row.samples for row in heap.samples().by("label")}


def test_each_record_says_who_made_it() -> None:
    g = graph_classes(sample_bytes=EACH)
    with trimalloc.label("load"):
        one = g.Vertex(id=1)
    (sample,) = g.heap.samples()
    assert (sample.label, sample.name, sample.record_class) == ("load", "Vertex", g.Vertex)
    assert sample.record == one
    assert sample.weight == pytest.approx(1, abs=1e-6)
    assert sample.stack[0].function == "test_each_record_says_who_made_it"
    assert sample.stack[0].file == __file__
    assert str(sample.stack[0]).startswith(f"{__file__}:{sample.stack[0].line} in test_each")
    assert len(sample.stack) > 1


def test_a_call_that_raises_says_what_it_has_made() -> None:
    g = graph_classes(sample_bytes=EACH)
    with trimalloc.label("raises"), pytest.raises(TypeError, match="integer"):
        g.Vertex(name=b"x" * 1000, id="one")
    rows = {row.key: row.samples for row in g.heap.samples().by("label", "class")}
    assert rows == {("raises", "Vertex"): 1, ("raises", "bytes, text, numbers"): 1}
    g.heap.collect()
    assert len(g.heap.samples()) == 0


def test_samples_go_with_their_records() -> None:
    g = graph_classes(sample_bytes=EACH)
    kept, dropped = g.Vertex(id=1), g.Vertex(id=2)
    freed = g.Vertex(id=3)
    samples = g.heap.samples()
    assert len(samples) == 3
    g.heap.free(freed)
    del dropped
    g.heap.collect()
    assert [one.record for one in g.heap.samples()] == [kept]
    assert [one.alive for one in samples] == [True, False, False]
    assert samples.samples[1].record is None


def test_what_is_kept_of_dead_samples_is_bounded() -> None:
    g = graph_classes(sample_bytes=EACH)
    for _ in range(20):
        for i in range(500):
            g.Vertex(id=i)
        g.heap.collect()
    assert len(g.heap._sample_log._entries) < 2000


def test_arrays_and_containers_are_sampled_too() -> None:
    g = graph_classes(sample_bytes=EACH)
    with trimalloc.label("fields"):
        one = g.Vertex(id=1, name=b"x" * 1000)
        one.name = b"y" * 100_000
    index = g.heap.map(trimalloc.int64, trimalloc.int64)
    with trimalloc.label("single"):
        for i in range(500):
            index[i] = i
    with trimalloc.label("bulk"):
        index.set_many(numpy.arange(100_000), numpy.arange(100_000))
    rows = {row.key: row for row in g.heap.samples().by("label", "class")}
    assert rows["fields", "Vertex"].samples == 1
    assert rows["fields", "bytes, text, numbers"].bytes > 100_000
    # What the map outgrew has been freed, and its samples with it.
    assert sum(row.bytes for key, row in rows.items() if key[0] == "bulk") > 1_600_000
    for sample in g.heap.samples():
        assert sample.record_class is not None or sample.record is None
    g.heap.verify()


def test_a_batch_is_one_call_with_many_samples() -> None:
    g = graph_classes(sample_bytes="64KiB")
    with trimalloc.label("batch"):
        many = g.Vertex.batch(200_000)
    samples = g.heap.samples()
    assert {one.label for one in samples} == {"batch"}
    assert {one.stack[0].function for one in samples} == {
        "test_a_batch_is_one_call_with_many_samples"
    }
    assert {one.record.id for one in samples} == {0}
    assert len(many) == 200_000
    # Cut for samples, the batch is as long a run as ever.
    many.id = numpy.arange(200_000)
    assert many.id.tolist() == list(range(200_000))


def test_what_samples_stand_for_is_what_there_is() -> None:
    g = graph_classes(sample_bytes=4096)
    kept = []
    with trimalloc.label("a"):
        kept += [g.Vertex.batch(100) for _ in range(600)]
    with trimalloc.label("b"):
        kept += [g.Edge() for _ in range(30_000)]
        kept.append(g.Vertex.batch(30_000))
    g.heap.collect()
    held = {row.name: row for row in g.heap.histogram().rows}
    by_class = {row.key[0]: row for row in g.heap.samples().by("class")}
    assert by_class.keys() == held.keys()
    for name, row in by_class.items():
        # Five standard errors: once in two million runs.
        assert abs(row.bytes - held[name].bytes) < 5 * row.error_bytes
        assert abs(row.records - held[name].records) < 5 * row.error_bytes * (
            row.records / row.bytes
        )
    slot = held["Vertex"].bytes / held["Vertex"].records
    vertices = {row.key: row for row in g.heap.samples().by("label", "class")}
    for label, count in (("a", 60_000), ("b", 30_000)):
        row = vertices[label, "Vertex"]
        assert abs(row.bytes - count * slot) < 5 * row.error_bytes


def test_the_table_shows_the_largest_and_the_rest() -> None:
    g = graph_classes(sample_bytes=EACH)
    kept = []
    for i in range(25):
        with trimalloc.label(f"l{i:02}"):
            kept.append(g.Vertex(id=i))
    with trimalloc.label("most"):
        kept += [g.Vertex(id=i) for i in range(3)]
    lines = str(g.heap.samples()).splitlines()
    assert lines[0].split() == ["bytes", "error", "samples", "class,", "label"]
    assert lines[1].endswith("3  Vertex, most")
    assert lines[-1].endswith("6  (6 more rows)")
    assert len(lines) == 22
    with pytest.raises(ValueError, match='by "label"'):
        g.heap.samples().by("colour")


def test_the_distance_can_be_set_and_turned_off() -> None:
    g = graph_classes(sample_bytes=0)
    kept = [g.Vertex(id=i) for i in range(1000)]
    assert (len(g.heap.samples()), g.heap.sample_bytes) == (0, 0)
    g.heap.sample_bytes = EACH
    kept.append(g.Vertex(id=7))
    g.heap.sample_bytes = "1GiB"
    kept += [g.Vertex(id=i) for i in range(1000)]
    assert [one.record.id for one in g.heap.samples()] == [7]
    assert g.heap.sample_bytes == 1 << 30
    with pytest.raises(ValueError, match="sample_bytes"):
        g.heap.sample_bytes = -1
    with pytest.raises(ValueError, match="size"):
        trimalloc.Heap(sample_bytes="some")
    assert trimalloc.Heap().sample_bytes == 512 * 1024


# --- labels ---------------------------------------------------------------------------------


def test_labels_nest_and_end() -> None:
    g = graph_classes(sample_bytes=EACH)
    kept = []
    with trimalloc.label("outer"):
        with trimalloc.label("inner"):
            kept.append(g.Vertex())
        with pytest.raises(KeyError), trimalloc.label("raising"):
            raise KeyError
        kept.append(g.Vertex())
    kept.append(g.Vertex())
    assert labels_of(g.heap) == {"outer/inner": 1, "outer": 1, "MainThread": 1}


def test_a_label_decorates_functions_and_coroutines() -> None:
    g = graph_classes(sample_bytes=EACH)
    kept = []

    @trimalloc.label("plain")
    def plain(number: int) -> int:
        kept.append(g.Vertex(id=number))
        return number

    @trimalloc.label("later")
    async def later() -> str:
        await asyncio.sleep(0)
        kept.append(g.Vertex())
        return "done"

    assert plain(3) == 3
    assert plain.__name__ == "plain"
    assert asyncio.run(later()) == "done"
    assert labels_of(g.heap) == {"plain": 1, "later": 1}

    with pytest.raises(TypeError, match="is a generator"):

        @trimalloc.label("never")
        def generator() -> Any:
            yield


def test_tasks_carry_their_labels_and_have_names() -> None:
    g = graph_classes(sample_bytes=EACH)
    kept = []

    async def work() -> None:
        await asyncio.sleep(0)
        kept.append(g.Vertex())

    async def main() -> None:
        with trimalloc.label("request"):
            inherits = asyncio.create_task(work())
        named = asyncio.create_task(work(), name="cleaner")
        numbered = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.gather(inherits, named, *numbered)

    asyncio.run(main())
    work_name = "test_tasks_carry_their_labels_and_have_names.<locals>.work"
    assert labels_of(g.heap) == {"request": 1, "cleaner": 1, work_name: 3}


def test_copied_contexts_carry_labels_and_threads_have_their_names() -> None:
    g = graph_classes(sample_bytes=EACH)
    kept = []

    def work() -> None:
        kept.append(g.Vertex())

    with trimalloc.label("copied"):
        context = contextvars.copy_context()
        threads = [
            threading.Thread(target=work, name="worker"),
            threading.Thread(target=context.run, args=(work,)),
        ]
    for thread in threads:
        thread.start()
        thread.join()
    assert labels_of(g.heap) == {"worker": 1, "copied": 1}


def test_bad_labels_are_clear_errors() -> None:
    for bad in ("", None, 3):
        with pytest.raises(ValueError, match="a label is a name"):
            trimalloc.label(bad)  # type: ignore[arg-type]
    one = trimalloc.label("one")
    with one, pytest.raises(RuntimeError, match="open already"), one:
        pass
    with one:
        pass  # after its end it may be opened again


# --- life -----------------------------------------------------------------------------------


def test_a_heap_goes_with_its_samples() -> None:
    g = graph_classes(sample_bytes=EACH)
    kept = g.Vertex()
    heap, record = weakref.ref(g.heap), g.heap.samples().samples[0].weak
    del g
    gc.collect()
    assert heap() is not None  # the handle's class keeps it
    assert record.alive
    del kept
    gc.collect()
    assert heap() is None
    assert not record.alive


def test_threads_that_sample_beside_collections() -> None:
    g = graph_classes(sample_bytes=64)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            g.Vertex.batch(20_000)
            kept = [g.Vertex(id=i, name=b"x" * 100) for i in range(300)]
            del kept

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        g.heap.collect()
        len(str(g.heap.samples()))
    stop.set()
    for thread in threads:
        thread.join()
    g.heap.collect()
    assert len(g.heap.samples()) == 0
    g.heap.verify()


def test_a_forked_child_samples_on() -> None:
    g = graph_classes(sample_bytes=EACH)
    kept = [g.Vertex(id=1)]
    child = os.fork()
    if child == 0:
        kept.append(g.Vertex(id=2))
        os._exit(0 if len(g.heap.samples()) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(g.heap.samples()) == 1
