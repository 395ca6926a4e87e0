"""Weak references, and callbacks for what has been reclaimed."""

from __future__ import annotations

import gc
import threading
from types import SimpleNamespace

import pytest

import trimalloc

from .shapes import graph_classes


def test_a_weak_reference_leads_to_its_record_until_that_is_gone() -> None:
    g = graph_classes()
    one = g.Vertex(id=1)
    weak = g.heap.weakref(one)
    assert weak() == one
    assert repr(weak) == "<WeakReference to a Vertex>"
    g.heap.collect()
    assert weak().id == 1
    del one
    g.heap.collect()
    assert weak() is None
    assert repr(weak) == "<WeakReference, dead>"
    g.heap.verify()


def test_what_a_weak_reference_gives_is_kept_again() -> None:
    g = graph_classes()
    weak = g.heap.weakref(g.Vertex(id=1, name=b"kept"))
    one = weak()
    g.heap.collect()
    assert one.name == b"kept"


def test_a_freed_record_is_gone_for_weak_references() -> None:
    g = graph_classes()
    one = g.Vertex(id=1)
    weak, other = g.heap.weakref(one), g.heap.weakref(one)
    g.heap.free(one)
    assert (weak(), other()) == (None, None)
    others = [g.Vertex(id=2) for _ in range(1000)]
    assert weak() is None
    assert others[0].id == 2


def test_weak_references_outlive_their_heap() -> None:
    g = graph_classes()
    weak = g.heap.weakref(g.Vertex(id=1))
    del g
    gc.collect()
    assert weak() is None
    assert repr(weak) == "<WeakReference, dead>"


def test_bad_targets_and_calls_are_refused() -> None:
    g, other = graph_classes(), graph_classes()
    with pytest.raises(TypeError, match="a record of this heap is needed"):
        g.heap.weakref(other.Vertex())
    with pytest.raises(TypeError, match="a record of this heap is needed"):
        g.heap.weakref(1)
    with pytest.raises(TypeError, match="without arguments"):
        g.heap.weakref(g.Vertex())(1)
    with pytest.raises(TypeError):
        trimalloc.WeakReference()
    assert trimalloc.WeakReference[int].__args__ == (int,)


# --- callbacks ------------------------------------------------------------------------------


def test_a_callback_gets_the_numbers_of_what_was_reclaimed() -> None:
    heap = trimalloc.Heap()

    @heap.record
    class File:
        descriptor: trimalloc.int32
        sizes: trimalloc.Array[trimalloc.int16, 2]  # type: ignore[valid-type]
        weight: trimalloc.float64 | None
        name: trimalloc.Bytes | None

    seen: list[SimpleNamespace] = []
    heap.on_reclaim(File, seen.append)
    kept = File(descriptor=3)
    File(descriptor=4, sizes=[5, 6], weight=0.5, name=b"x")
    assert not seen
    heap.collect()
    (gone,) = seen
    assert list(vars(gone)) == ["descriptor", "sizes", "weight"]
    assert (gone.descriptor, list(gone.sizes), gone.weight) == (4, [5, 6], 0.5)
    kept.weight = None
    del kept
    heap.collect()
    assert (seen[1].descriptor, seen[1].weight) == (3, None)


def test_callbacks_come_when_records_are_made() -> None:
    g = graph_classes()
    seen: list[int] = []
    g.heap.on_reclaim(g.Vertex, lambda gone: seen.append(gone.id))
    for i in range(600_000):
        g.Vertex(id=i)
    assert g.heap.stats().cycles >= 2
    assert len(seen) > 100_000
    g.heap.collect()
    assert sorted(seen) == list(range(600_000))


def test_a_callback_may_use_the_heap() -> None:
    g = graph_classes()
    seen: list[int] = []

    def again(gone: SimpleNamespace) -> None:
        seen.append(gone.id)
        if gone.id > 0:
            g.Vertex(id=gone.id - 1)
        g.heap.collect()

    g.heap.on_reclaim(g.Vertex, again)
    g.Vertex(id=3)
    for _ in range(4):
        g.heap.collect()
    assert seen == [3, 2, 1, 0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_callback_that_fails_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    g = graph_classes()
    seen: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda raised: seen.append(raised.exc_value))

    def fail(gone: SimpleNamespace) -> None:
        raise ValueError(gone.id)

    g.heap.on_reclaim(g.Vertex, fail)
    for i in range(3):
        g.Vertex(id=i)
    g.heap.collect()
    assert sorted(str(one) for one in seen) == ["0", "1", "2"]


def test_callbacks_end_and_freed_or_derived_records_are_not_told() -> None:
    g = graph_classes()
    seen: list[int] = []
    g.heap.on_reclaim(g.Vertex, lambda gone: seen.append(gone.id))
    g.Place(id=1)
    g.heap.free(g.Vertex(id=2))
    g.heap.collect()
    g.heap.on_reclaim(g.Vertex, lambda gone: seen.append(-gone.id))
    g.Vertex(id=3)
    g.heap.collect()
    g.heap.on_reclaim(g.Vertex, None)
    g.heap.on_reclaim(g.Vertex, None)
    g.Vertex(id=4)
    g.heap.collect()
    assert seen == [-3]


def test_bad_callbacks_are_refused() -> None:
    g, other = graph_classes(), graph_classes()
    with pytest.raises(ValueError, match="another heap"):
        g.heap.on_reclaim(other.Vertex, print)
    with pytest.raises(TypeError, match="a function or None"):
        g.heap.on_reclaim(g.Vertex, 1)
    with pytest.raises(TypeError):
        g.heap.on_reclaim(int, print)


def test_threads_tell_each_record_once() -> None:
    g = graph_classes(gc_percent=20)
    lock = threading.Lock()
    seen: list[int] = []

    def note(gone: SimpleNamespace) -> None:
        with lock:
            seen.append(gone.id)

    g.heap.on_reclaim(g.Vertex, note)

    def work(first: int) -> None:
        for i in range(first, first + 50_000):
            g.Vertex(id=i)

    threads = [threading.Thread(target=work, args=(n * 50_000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    g.heap.collect()
    assert sorted(seen) == list(range(200_000))
