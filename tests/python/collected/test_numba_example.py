"""examples/records/readings.py: Numba loops in a heap that Python owns, beside its collector."""

from __future__ import annotations

import importlib.util
import threading
from types import ModuleType

import pytest
from support.library import CHECKOUT

import trimalloc

pytest.importorskip("numba", reason="numba is not installed: pip install --group examples")
np = pytest.importorskip("numpy")

SOURCE = CHECKOUT / "examples" / "records" / "readings.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readings", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_loops_make_and_read_records(example: ModuleType) -> None:
    readings = example.Readings(trimalloc.Heap())
    assert readings.total() == 0
    readings.prepend([])
    assert readings.first is None
    readings.prepend(np.arange(100_000))
    readings.heap.collect()
    readings.prepend([0.5])
    assert readings.first.value == 0.5
    assert readings.first.next.value == 99_999
    assert readings.total() == 99_999 * 50_000 + 0.5
    readings.heap.verify()


def test_a_full_heap_is_told_and_loses_nothing(example: ModuleType) -> None:
    readings = example.Readings(trimalloc.Heap(limit="2M"))
    with pytest.raises(MemoryError, match="numbers are in"):
        readings.prepend(np.ones(1_000_000))
    assert readings.first is not None
    assert readings.total() > 1000
    readings.heap.verify()


def test_loops_run_while_python_threads_collect(example: ModuleType) -> None:
    readings = example.Readings(trimalloc.Heap())
    ended = threading.Event()

    def collect() -> None:
        while not ended.is_set():
            readings.heap.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    for i in range(20):
        readings.prepend(np.full(10_000, float(i)))
        readings.prepend([1.0])
    total = readings.total()
    ended.set()
    collector.join()
    assert total == sum(range(20)) * 10_000 + 20
    readings.heap.verify()
