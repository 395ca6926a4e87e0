"""A file that is not a whole saved heap is one clear exception, before anything of it is used."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

import trimalloc

from .shapes import graph_classes

FLIPS = 400
CUTS = 200
ROOTS, PAGES = 1, 5  # parts of a file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    g = graph_classes()
    top = None
    for i in range(300):
        top = g.Vertex(id=i, name=b"name", edges=g.Edge(to=top))
    g.heap.save(tmp_path / "graph.tmh", {"top": top})
    return tmp_path / "graph.tmh"


def _positions(data: bytes, count: int) -> list[int]:
    """All that is dense, and a sample of the long zeros; the engine's tests take every byte."""
    dense = [at for at, byte in enumerate(data) if byte]
    step = max(1, len(dense) // count)
    return [*range(0, 600), *dense[600::step], *range(600, len(data), len(data) // count)]


def test_flipped_bytes_are_found(path: Path) -> None:
    whole = path.read_bytes()
    with path.open("r+b") as file:
        for at in _positions(whole, FLIPS):
            file.seek(at)
            file.write(bytes([whole[at] ^ 1 << at % 8]))
            file.flush()
            with pytest.raises(trimalloc.HeapFileError) as caught:
                trimalloc.open_heap(path, verify=True)
            assert "\n" not in str(caught.value)
            file.seek(at)
            file.write(whole[at : at + 1])
            file.flush()
    assert trimalloc.open_heap(path, verify=True).roots["top"].id == 299


def test_without_verify_pages_are_not_read(path: Path) -> None:
    whole = path.read_bytes()
    at = whole.rindex(b"name")
    path.write_bytes(whole[:at] + b"game" + whole[at + 4 :])
    trimalloc.open_heap(path)
    with pytest.raises(trimalloc.HeapFileError, match="damaged in its pages"):
        trimalloc.open_heap(path, verify=True)


def test_damaged_roots_are_found_when_one_is_asked_for(path: Path) -> None:
    whole = path.read_bytes()
    at = _part_at(whole, ROOTS)
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    heap = trimalloc.open_heap(path)
    for _ in range(2):
        with pytest.raises(trimalloc.HeapFileError, match=f"{path}: damaged in its roots"):
            heap.roots["top"]


@pytest.mark.parametrize("mode", ["r", "c"])
def test_verify_tells_references_that_lead_nowhere(path: Path, mode: Literal["r", "c"]) -> None:
    heap = trimalloc.open_heap(path)
    heap.verify()
    place = heap.to_reference(heap.roots["top"]) * 16
    place += heap.c_layout("Vertex").offsets["edges"]
    del heap
    whole = path.read_bytes()
    at = _part_at(whole, PAGES) + place
    path.write_bytes(whole[:at] + b"\xf0\xff\xff\xff" + whole[at + 4 :])
    damaged = trimalloc.open_heap(path, mode)
    with pytest.raises(trimalloc.HeapFileError, match=f"{path}: damaged in its pages"):
        damaged.verify()


@pytest.mark.parametrize("mode", ["r", "c"])
def test_a_length_is_held_against_the_place(
    tmp_path: Path, mode: Literal["r", "c"], references: int
) -> None:
    path = tmp_path / "graph.tmh"
    heap = trimalloc.Heap()

    @heap.record
    class Node:
        id: trimalloc.int64
        links: trimalloc.Vec[Node]  # type: ignore[name-defined]

    one, last = Node(id=1), Node(id=3)
    one.links, last.links = [Node(id=2)], [one]
    heap.save(path, {"one": one, "last": last})
    sound = trimalloc.open_heap(path)
    whole = path.read_bytes()
    field = sound.to_reference(sound.roots["one"]) * 16 + sound.c_layout("Node").offsets["links"]
    at = _part_at(whole, PAGES) + field
    array = int.from_bytes(whole[at : at + references // 8], "little")
    at = _part_at(whole, PAGES) + 16 * array
    assert whole[at : at + 4] == b"\1\0\0\0"
    path.with_suffix(".new").write_bytes(whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :])
    path.with_suffix(".new").replace(path)
    damaged = trimalloc.open_heap(path, mode)
    first = damaged.roots["one"]
    assert first.links is None
    sound_rows, rows = (one.histogram(retained=True).rows for one in (sound, damaged))
    assert [row.retained_bytes for row in rows] == [row.retained_bytes for row in sound_rows]
    second = damaged.breadth_first(first).records[1]
    assert str(damaged.why(second)).endswith("Node.links[0]\n  Node")
    assert damaged.leaks().rows == ()


# --- not verified ---------------------------------------------------------------------------

_WALK = """
import copy, os, random, sys
import numpy, trimalloc

path, mode, at, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
whole = bytearray(open(path, "rb").read())
chance = random.Random(seed)


def attempt(work):
    try:
        return work()
    except (TypeError, ReferenceError, UnicodeDecodeError, ValueError, AttributeError):
        return None


for round in range(12):
    damaged = bytearray(whole)
    if round % 3 == 0:  # everything
        damaged[at:] = chance.randbytes(len(whole) - at)
    elif round % 3 == 1:  # references that lead somewhere, lengths that may be
        small = numpy.frombuffer(damaged, "u4", offset=at).copy()
        chosen = numpy.array([chance.random() < 0.3 for _ in small])
        small[chosen] = [chance.randrange(len(whole) // 16) for _ in range(chosen.sum())]
        damaged[at:] = small.tobytes()
    else:  # a bit here and there
        for _ in range(2000):
            damaged[chance.randrange(at, len(whole))] ^= 1 << chance.randrange(8)
    open(path + ".new", "wb").write(damaged)
    os.replace(path + ".new", path)  # what is mapped stays
    heap = trimalloc.open_heap(path, mode)
    everything = heap.roots["all"]
    for name in heap.classes["All"].__layout__.by_name:
        column = attempt(lambda: getattr(everything, name))
        if isinstance(column, trimalloc.Batch):
            for other in column.record_class.__layout__.by_name:
                attempt(lambda: getattr(column, other))
                if mode == "c":
                    attempt(lambda: setattr(column, other, getattr(everything, other)))
    fresh = []
    for record in everything:
        for name in type(record).__layout__.by_name:
            value = attempt(lambda: getattr(record, name))
            for one in value if isinstance(value, list) else [value]:
                attempt(lambda: (one.number, one.data))
            if mode == "c":
                attempt(lambda: setattr(record, name, value))
        if mode == "c":
            fresh.append(copy.copy(record))
    for block in heap.scan(heap.classes["All"]):
        block["number"][block.live].sum()
    for _ in range(2):
        heap.collect()
    for record in fresh:
        for name in type(record).__layout__.by_name:
            attempt(lambda: getattr(record, name))
    heap.collect()
print("whole")
"""


@pytest.mark.parametrize("mode", ["r", "c"])
def test_whatever_the_pages_hold_the_process_lives(mode: str, tmp_path: Path) -> None:
    heap = trimalloc.Heap()

    @heap.record
    class All:
        number: trimalloc.int64
        maybe: trimalloc.int32 | None
        data: trimalloc.Bytes | None
        text: trimalloc.Str | None
        numbers: trimalloc.Vec[trimalloc.int16]
        links: trimalloc.Vec[All]  # type: ignore[name-defined]
        one: All | None  # type: ignore[name-defined]
        flag: trimalloc.bool_

    records = All.batch(200)
    for i, record in enumerate(records):
        record.data, record.text = bytes(i), "text" * i
        record.numbers, record.links = range(i), [records[i // 2], record]
        record.one = records[i - 1]
    path = tmp_path / "graph.tmh"
    heap.save(path, {"all": records})
    pages = _part_at(path.read_bytes(), PAGES)
    seed = random.randrange(1 << 30)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", _WALK, str(path), mode, str(pages), str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "whole\n"), (seed, done.stderr)


def _part_at(data: bytes, part: int) -> int:
    """Where a part begins: each has an offset, a length and a checksum in the header."""
    return int.from_bytes(data[40 + part * 24 : 40 + part * 24 + 8], "little")


def test_files_cut_off_are_found(path: Path) -> None:
    whole = path.read_bytes()
    sizes = [*range(0, 600), *range(600, len(whole), len(whole) // CUTS)]
    with path.open("r+b") as file:
        for size in reversed(sizes):
            file.truncate(size)
            with pytest.raises(trimalloc.HeapFileError, match="cut off"):
                trimalloc.open_heap(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(trimalloc.HeapFileError, match="longer"):
        trimalloc.open_heap(path)


def test_other_files_are_no_heaps(tmp_path: Path) -> None:
    path = tmp_path / "other"
    for contents in (pickle.dumps(list(range(1000))), b"\x7fELF" + bytes(5000), b"text"):
        path.write_bytes(contents)
        with pytest.raises(trimalloc.HeapFileError, match=f"{path}: no saved heap"):
            trimalloc.open_heap(path)


def test_what_the_system_refuses_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        trimalloc.open_heap(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        trimalloc.open_heap(tmp_path)
