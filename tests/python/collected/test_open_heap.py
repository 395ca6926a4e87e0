"""Opening a saved heap: read only and private, with the program's classes, by many processes."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

import trimalloc

from .shapes import graph_classes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A saved heap: 1000 vertices in a ring, one place, and a name."""
    g = graph_classes()
    ring = g.Vertex.batch(1000)
    ring.id = numpy.arange(1000)
    ring.edges = g.Edge.batch(1000)
    ring.edges.to = ring[numpy.roll(numpy.arange(1000), -1)]
    place = g.Place(id=5, latitude=48.5, twin=ring[3], name=b"here")
    g.heap.save(tmp_path / "graph.tmh", {"ring": ring, "place": place})
    return tmp_path / "graph.tmh"


# --- read only ------------------------------------------------------------------------------

STORES: dict[str, Callable[[SimpleNamespace], object]] = {
    "number": lambda g: setattr(g.place, "id", 1),
    "reference": lambda g: setattr(g.place, "twin", None),
    "bytes": lambda g: setattr(g.place, "name", b"other"),
    "column": lambda g: setattr(g.ring, "id", 1),
    "references": lambda g: setattr(g.ring, "edges", None),
    "record": lambda g: g.heap.classes["Vertex"](),
    "batch": lambda g: g.heap.classes["Vertex"].batch(2),
    "copy": lambda g: copy.copy(g.place),
    "free": lambda g: g.heap.free(g.place),
    "block": lambda g: next(g.heap.scan(g.heap.classes["Vertex"], write=True))["id"].fill(1),
    "class": lambda g: g.heap.record(type("Other", (), {})),
}


@pytest.mark.parametrize("store", STORES)
def test_a_heap_that_is_read_only_refuses_stores(path: Path, store: str) -> None:
    heap = trimalloc.open_heap(path)
    g = SimpleNamespace(heap=heap, place=heap.roots["place"], ring=heap.roots["ring"])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="read"):
        STORES[store](g)
    assert heap.read_only
    assert (g.place.id, g.place.name, g.ring.id[5]) == (5, b"here", 5)
    assert path.read_bytes() == before


def test_all_else_works_on_a_heap_that_is_read_only(path: Path, tmp_path: Path) -> None:
    heap = trimalloc.open_heap(path)
    place = heap.roots["place"]
    weak = heap.weakref(place)
    del place
    heap.collect()
    heap.freeze()
    heap.verify()
    assert weak().latitude == 48.5
    assert repr(weak()).startswith("Place(")
    assert heap.stats().saved_bytes >= 32_000
    assert heap.stats().heap_bytes == 0
    heap.release()
    heap.save(tmp_path / "copy", dict(heap.roots))
    assert trimalloc.open_heap(tmp_path / "copy", verify=True).roots["place"].twin.id == 3


def test_what_is_held_keeps_the_file(path: Path) -> None:
    place = trimalloc.open_heap(path).roots["place"]
    ring = trimalloc.open_heap(path).roots["ring"]
    path.unlink()
    assert place.twin.edges.to.id == 4
    assert ring.id.sum() == sum(range(1000))


# --- private --------------------------------------------------------------------------------


def test_a_private_heap_changes_grows_and_collects(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    heap = trimalloc.open_heap(path, "c")
    Vertex = heap.classes["Vertex"]  # noqa: N806
    place, ring = heap.roots["place"], heap.roots["ring"]
    place.id = 77
    place.name = b"a name of its own"
    place.twin = Vertex(id=-1)
    ring.id = numpy.arange(1000) * 2
    for i in range(200_000):
        Vertex(id=i)
    heap.collect()
    heap.verify()
    assert (place.id, place.name, place.twin.id) == (77, b"a name of its own", -1)
    assert ring.id[-1] == 1998
    assert sum(int(b.live.sum()) for b in heap.scan(Vertex)) == 1001
    assert heap.stats().heap_bytes < 1000
    heap.save(tmp_path / "again", {"place": place, "ring": ring})
    again = trimalloc.open_heap(tmp_path / "again", verify=True)
    assert again.roots["place"].twin.id == -1
    assert again.roots["ring"][3].edges.to.id == 8
    assert path.read_bytes() == before
    assert trimalloc.open_heap(path).roots["place"].id == 5


def test_a_saved_record_can_be_freed(path: Path) -> None:
    heap = trimalloc.open_heap(path, "c")
    ring = heap.roots["ring"]
    heap.free(ring[3])
    assert heap.roots["place"].twin is None
    with pytest.raises(ReferenceError):
        ring.id  # noqa: B018
    heap.free(heap.roots["place"])
    for _ in range(2):
        assert heap.roots["place"] is None
        assert ring[3] is None
    heap.collect()
    heap.verify()


def test_new_classes_can_be_declared_beside_those_of_the_file(path: Path) -> None:
    heap = trimalloc.open_heap(path, "c")
    Vertex = heap.classes["Vertex"]  # noqa: F841, N806

    @heap.record
    class Note:
        about: Vertex | None
        text: trimalloc.Str

    note = Note(about=heap.roots["place"].twin, text="new")
    heap.collect()
    assert note.about.id == 3
    with pytest.raises(TypeError, match="open_heap"):
        heap.record(type("Vertex", (), {}))


def test_the_limit_counts_what_is_new(path: Path) -> None:
    heap = trimalloc.open_heap(path, "c", limit="2M")
    with pytest.raises(MemoryError):
        heap.classes["Vertex"].batch(1_000_000)
    assert heap.roots["place"].id == 5


# --- classes --------------------------------------------------------------------------------


class Vertex:
    """The program's own, with a method."""

    id: trimalloc.int64
    score: trimalloc.float32
    name: trimalloc.Bytes | None
    edges: Edge | None

    def following(self) -> int:
        assert self.edges is not None
        return self.edges.to.id


class Edge:
    """The program's own."""

    to: Vertex | None
    next: Edge | None


class Place(Vertex):
    """Derived from the program's own."""

    latitude: float
    twin: Vertex | None

    def following(self) -> int:
        return super().following() if self.edges is not None else -1


def test_the_programs_classes_bring_their_methods(path: Path) -> None:
    heap = trimalloc.open_heap(path, classes=[Vertex, Edge, Place])
    place = heap.roots["place"]
    assert place.following() == -1
    assert place.twin.following() == 4
    assert isinstance(place, heap.classes["Vertex"])
    again = trimalloc.open_heap(path, classes=list(heap.classes.values()))
    assert again.roots["place"].twin.following() == 4
    some = trimalloc.open_heap(path, classes=[Vertex])
    assert some.roots["ring"][1].following() == 2


def _changed(called: str, /, **fields: object) -> type:
    annotations = {**{"id": trimalloc.int64, "score": trimalloc.float32}, **fields}
    return type(called, (), {"__annotations__": annotations, "__module__": __name__})


BYTES, EDGE = trimalloc.Bytes | None, "Edge | None"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (_changed("Vertex", name=BYTES), "'edges': the program has no such field, the file has it"),
        (_changed("Vertex", score=float, name=BYTES, edges=EDGE), "'score': .*float64.*float32"),
        (_changed("Vertex", name=trimalloc.Str, edges=EDGE), "'name': .*Str.*Bytes"),
        (_changed("Vertex", name=trimalloc.Bytes, edges=EDGE), r"'name'.*Bytes.*None"),
        (_changed("Vertex", name=BYTES, edges="Vertex | None"), "'edges': .*to Vertex.*to Edge"),
        (
            _changed("Vertex", name=BYTES, edges=EDGE, more=trimalloc.int8),
            "'more'.*the file has no such field",
        ),
        (_changed("Place", name=BYTES, edges=EDGE), "derives from nothing.*from Vertex"),
        (_changed("Other"), "has no class Other"),
    ],
)
def test_classes_that_differ_are_refused(path: Path, given: type, message: str) -> None:
    with pytest.raises(trimalloc.HeapFileError, match=message) as caught:
        trimalloc.open_heap(path, classes=[given])
    assert str(caught.value).startswith(f"{path}: ")


# --- processes ------------------------------------------------------------------------------

_READER = """
import sys, trimalloc
heap = trimalloc.open_heap(sys.argv[1])
total = int(heap.roots["all"].id.sum())
print(total, flush=True)
sys.stdin.readline()
memory = {}
inside = False
for line in open("/proc/self/smaps"):
    if not line.split()[0].endswith(":"):
        inside = sys.argv[1] in line
    elif inside:
        name, kib = line.split()[:2]
        if name in ("Pss:", "Private_Dirty:", "Rss:"):
            memory[name] = memory.get(name, 0) + int(kib)
print(memory["Pss:"], memory["Rss:"], memory["Private_Dirty:"])
sys.stdin.readline()
"""


def test_processes_hold_one_copy(tmp_path: Path) -> None:
    g = graph_classes()
    many = g.Vertex.batch(500_000)
    many.id = numpy.arange(500_000)
    path = tmp_path / "graph"
    g.heap.save(path, {"all": many})
    kib = path.stat().st_blocks // 2
    del g, many
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", _READER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    told: list[list[int]] = []
    for ask in (1, 2):
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdin is not None
            line = reader.stdout.readline()
            if ask == 1:
                assert int(line) == sum(range(500_000))
            else:
                told.append([int(word) for word in line.split()])
            if ask == 2:
                continue
        for reader in readers:
            assert reader.stdin is not None
            reader.stdin.write("\n")
            reader.stdin.flush()
    for reader in readers:
        reader.communicate()
    assert min(rss for _, rss, _ in told) > kib * 0.7
    assert sum(pss for pss, _, _ in told) < kib * 1.1
    assert sum(dirty for _, _, dirty in told) == 0


def test_a_forked_child_has_an_opened_heap(path: Path) -> None:
    heaps: dict[str, Any] = {mode: trimalloc.open_heap(path, mode) for mode in ("r", "c")}  # type: ignore[arg-type]
    heaps["c"].roots["place"].id = 6
    child = os.fork()
    if child == 0:
        status = 1
        try:
            heaps["c"].roots["place"].twin = heaps["c"].classes["Vertex"](id=9)
            for heap in heaps.values():
                heap.collect()
                heap.verify()
            found = [heaps[mode].roots["place"].id for mode in "rc"]
            status = 0 if found == [5, 6] and heaps["c"].roots["place"].twin.id == 9 else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert heaps["c"].roots["place"].twin.id == 3


def test_a_mode_that_is_none_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="'r' or 'c'"):
        trimalloc.open_heap(path, "w")  # type: ignore[arg-type]
