"""The heap as a whole: collecting, freezing, forking, settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

import trimalloc
from python.commands import run_python

from .shapes import graph_classes


def test_stats_say_where_the_memory_is() -> None:
    g = graph_classes(gc_percent=None)
    many = g.Vertex.batch(100_000)
    stats = g.heap.stats()
    assert 3_200_000 <= stats.heap_bytes <= 3_208_192  # runs are charged as they are taken
    assert stats.span_bytes >= stats.heap_bytes
    assert stats.batch_bytes <= 32_768  # some runs
    selected = many[::-1]
    assert g.heap.stats().batch_bytes >= 400_000  # references
    assert stats.cycles == 0
    del many, selected
    g.heap.collect()
    after = g.heap.stats()
    assert (after.heap_bytes, after.cycles) == (0, 1)
    assert after.span_bytes == 0
    assert after.longest_stop_ns > 0


def test_garbage_does_not_pile_up() -> None:
    g = graph_classes()
    for i in range(2_000_00):
        g.Vertex(id=i)
    assert g.heap.stats().cycles >= 1
    assert g.heap.stats().peak_resident_bytes < 16 << 20


def test_without_a_percentage_nothing_is_collected_by_itself() -> None:
    g = graph_classes(gc_percent=None)
    assert g.heap.gc_percent is None
    g.Vertex.batch(1_000_000)
    assert g.heap.stats().cycles == 0
    g.heap.gc_percent = 50
    g.Vertex.batch(1_000_000)
    assert g.heap.gc_percent == 50


def test_frozen_records_stay_and_can_change() -> None:
    g = graph_classes()
    many = g.Vertex.batch(1000)
    g.heap.freeze()
    first = many[0]
    first.edges = g.Edge(to=g.Vertex(id=5))
    del many
    g.heap.collect()
    g.heap.verify()
    assert first.edges.to.id == 5
    assert sum(int(b.live.sum()) for b in g.heap.scan(g.Vertex)) == 1001


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_the_heap_and_collects_by_itself() -> None:
    g = graph_classes()
    many = g.Vertex.batch(200_000)
    many.id = numpy.arange(200_000)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            g.heap.verify()
            part = many[::1000].id.sum()
            g.Vertex.batch(300_000)
            g.heap.collect()
            status = 0 if part == sum(range(0, 200_000, 1000)) else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert many.id.sum() == sum(range(200_000))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_that_collects_copies_little() -> None:
    g = graph_classes(gc_percent=None)
    _many = g.Vertex.batch(5_000_000)  # 160 MiB
    g.heap.collect()
    heap_bytes = g.heap.stats().heap_bytes
    child = os.fork()
    if child == 0:
        status = 1
        try:
            before = private_dirty()
            g.heap.collect()
            grown = private_dirty() - before
            status = 0 if grown < 0.02 * heap_bytes else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def private_dirty() -> int:
    """Bytes that this process shares with nobody."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_Dirty:"))


@pytest.mark.parametrize(("option", "counter"), [("procs", "processors"), ("markers", "markers")])
def test_threads_come_from_the_environment(option: str, counter: str) -> None:
    code = f"""
import trimalloc
heap = trimalloc.Heap()
heap.collect()
print(heap.stats().{counter})
"""
    environment = {**os.environ, f"TRIMALLOC_{option.upper()}": "4"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "4\n"
    with pytest.raises(ValueError, match=option):
        trimalloc.Heap(**{option: -1})


def test_it_works_under_preload() -> None:
    code = """
import trimalloc
heap = trimalloc.Heap()
@heap.record
class Pair:
    left: "Pair | None"
    right: "Pair | None"
top = None
for i in range(200000):
    top = Pair(top, None) if i % 100 else None
heap.collect()
heap.verify()
print(trimalloc.mode())
"""
    assert run_python(code, "--mode", "full") == "full\n"


def test_sub_interpreters_have_heaps_of_their_own() -> None:
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
use = '''
import trimalloc
heap = trimalloc.Heap()
@heap.record
class Pair:
    left: "Pair | None"
pair = Pair()
pair.left = pair
heap.collect()
heap.verify()
'''
for _ in range(3):
    one = interpreters.create()
    assert interpreters.run_string(one, use) is None
    interpreters.destroy(one)
exec(use)
print("worked")
"""
    assert run_python(code) == "worked\n"
