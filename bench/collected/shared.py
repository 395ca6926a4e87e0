"""One heap for many processes: a saved `trimalloc.Heap` beside fork, and both beside objects.

    python -m bench.collected.shared [MIB [PROCESSES]]

Records {int64, two references}, each linked to two others. Every process reads the number of every
record and collects once. A column for each question:

    one copy   MiB of the data, in the first process that had it
    ready ms   from being asked to the first record read: the slowest process, all asked at once
    Pss MiB    of all processes that hold the data, everything read, without the interpreters
    all MiB    the same with the interpreters
    grown %    of one copy: memory that reading and collecting made a process's own, the worst one

Objects take ten times as long and as much: there are fewer of them, as the first column says.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path

from bench.collected.records import Slots
from bench.python.harness import require

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from typing import Any

np = require("numpy")
trimalloc = require("trimalloc")

MIB = 1024
PROCESSES = 10
RECORD_BYTES = 16
FEWER_OBJECTS = 64  # ten processes with a copy of all of them would not fit
NAMED = 64  # every so-manieth record is in a batch that the file names
KIB_PER_MIB = 1024
FIGURES = ("records", "one copy MiB", "ready ms", "Pss MiB", "all MiB", "grown %")


def memory_kib(pid: int | str = "self") -> dict[str, int]:
    """What the kernel counts for a process: Pss, and what is nobody else's."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {"pss": found["Pss"], "own": found["Private_Clean"] + found["Private_Dirty"]}


open_heap = trimalloc.open_heap  # here, so that opening a heap is not also importing what it needs
INTERPRETER_KIB = memory_kib()["pss"]


# --- the data -------------------------------------------------------------------------------


def heap_of(count: int) -> tuple[Any, Any]:
    """A heap of linked records, and a batch of some."""
    home = trimalloc.Heap()
    namespace = {"__annotations__": {"id": trimalloc.int64, "a": "Node | None", "b": "Node | None"}}
    node = home.record(type("Node", (), namespace))
    records = node.batch(count)
    records.id = np.arange(count)
    records.a, records.b = records[np.arange(count) - 1], records[-np.arange(count)]
    named = records[::NAMED]  # they lead to all others
    del records
    home.collect()  # what linking them took goes back
    return home, named


def objects_of(count: int) -> list[Slots]:
    """The same as objects."""
    records = [Slots(number) for number in range(count)]
    for position, record in enumerate(records):
        record.a, record.b = records[position - 1], records[-position]
    return records


def read_heap(home: Any) -> int:
    """Every number; then a collection."""
    total = sum(int(block["id"].sum()) for block in home.scan(home.classes["Node"]))
    home.collect()
    return total


def read_objects(records: list[Slots]) -> int:
    """Every number; then a collection."""
    total = sum(record.id for record in records)
    gc.collect()
    return total


def open_shared(path: str) -> Any:
    """Mapped, read only."""
    home = open_heap(path)
    assert home.roots["some"][1].id == NAMED
    return home


def open_private(path: str) -> Any:
    """Mapped, copy-on-write."""
    home = open_heap(path, "c")
    assert home.roots["some"][1].id == NAMED
    return home


def load_pickle(path: str) -> Any:
    """Read and made again. Columns, because pickle cannot follow ten thousand links in a row."""
    with Path(path).open("rb") as file:
        numbers, a, b = pickle.load(file)
    records = [Slots(number) for number in numbers]
    for record, one, other in zip(records, a, b, strict=True):
        record.a, record.b = records[one], records[other]
    return records


def save_pickle(count: int, path: str) -> None:
    """What `load_pickle` reads."""
    numbers = list(range(count))
    with Path(path).open("wb") as file:
        pickle.dump((numbers, [n - 1 for n in numbers], [-n for n in numbers]), file, protocol=5)


# --- processes ------------------------------------------------------------------------------


def work(
    channel: Connection, ready: Callable[[Any], Any] | None, read: Callable[[Any], int], what: Any
) -> None:
    """One process: gets the data when asked, reads it when asked, and says what that took."""
    channel.send(None)
    start = channel.recv()
    data = what if ready is None else ready(what)
    channel.send((time.monotonic() - start) * 1e3)
    channel.recv()
    before = memory_kib()["own"]
    total = read(data)
    channel.send((total, memory_kib()["own"] - before))
    channel.recv()
    os._exit(0)  # freeing millions of objects one by one is nobody's figure here


def ask(channels: list[Connection], question: object) -> list[Any]:
    """All at once; their answers."""
    for channel in channels:
        channel.send(question)
    return [channel.recv() for channel in channels]


def share(
    processes: int,
    ready: Callable[[Any], Any] | None,
    read: Callable[[Any], int],
    what: Any,
    expected: int,
) -> dict[str, float]:
    """Figures of processes that get the data by `ready`; None: they are forked and have it."""
    context: Any = multiprocessing.get_context("fork" if ready is None else "spawn")
    held = memory_kib()["pss"] - INTERPRETER_KIB if ready is None else 0
    pairs = [context.Pipe() for _ in range(processes)]
    started = [
        context.Process(target=work, args=(theirs, ready, read, what)) for _, theirs in pairs
    ]
    begun = time.monotonic()
    for process in started:
        process.start()
    channels = [ours for ours, _ in pairs]
    for channel in channels:
        channel.recv()
    forking = (time.monotonic() - begun) * 1e3 / processes

    def pss() -> int:
        own = memory_kib()["pss"] if ready is None else 0
        return own + sum(memory_kib(process.pid)["pss"] for process in started)

    empty = pss()
    waited = ask(channels, time.monotonic())
    told = ask(channels, None)
    full = pss()
    for channel in channels:
        channel.send(None)
    for process in started:
        process.join()
    if any(total != expected for total, _ in told):
        sys.exit(f"shared: a process read {told[0][0]}, not {expected}")
    return {
        "ready ms": forking if ready is None else max(waited),
        "Pss MiB": (full - empty + held) / KIB_PER_MIB,
        "all MiB": full / KIB_PER_MIB,
        "grown": max(grown for _, grown in told) / KIB_PER_MIB,
    }


def show(name: str, count: int, one_copy_mib: float, found: dict[str, float]) -> None:
    """One line of the table."""
    grown = found["grown"] / one_copy_mib * 100
    print(
        f"| {name} | {count} | {one_copy_mib:.0f} | {found['ready ms']:.1f} "
        f"| {found['Pss MiB']:.0f} | {found['all MiB']:.0f} | {grown:.1f} |",
        flush=True,
    )


def measure_objects(count: int, processes: int, folder: Path) -> None:
    """The rows of objects."""
    expected = sum(range(count))
    gc.collect()
    before = memory_kib()["own"]
    records = objects_of(count)
    mib = (memory_kib()["own"] - before) / KIB_PER_MIB
    show("objects, fork", count, mib, share(processes, None, read_objects, records, expected))
    gc.freeze()
    frozen = share(processes, None, read_objects, records, expected)
    show("objects, gc.freeze, fork", count, mib, frozen)
    path = str(folder / "objects.pickle")
    save_pickle(count, path)
    show("objects, pickle", count, mib, share(processes, load_pickle, read_objects, path, expected))


def measure_heaps(count: int, processes: int, folder: Path) -> None:
    """The rows of heaps."""
    expected = sum(range(count))
    home, named = heap_of(count)
    mib = home.stats().heap_bytes / 2**20
    path = str(folder / "heap.tmh")
    home.save(path, {"some": named, "first": named[0]})
    shared = share(processes, open_shared, read_heap, path, expected)
    show("saved Heap, `r`", count, mib, shared)
    private = share(processes, open_private, read_heap, path, expected)
    show("saved Heap, `c`", count, mib, private)
    show("Heap, fork", count, mib, share(processes, None, read_heap, home, expected))
    home.freeze()
    show("Heap, freeze, fork", count, mib, share(processes, None, read_heap, home, expected))


def main(argv: list[str]) -> None:
    """Prints a table."""
    try:
        mib, processes = [*map(int, argv), *(MIB, PROCESSES)[len(argv) :]]
    except ValueError:
        sys.exit(f"shared: {' '.join(argv)!r}: give MiB and a number of processes such as 256 4")
    count = mib * 2**20 // RECORD_BYTES
    print(f"{mib} MiB of records, {processes} processes, Python {sys.version.split()[0]}\n")
    print("| | " + " | ".join(FIGURES) + " |")
    print("| --- |" + " ---: |" * len(FIGURES))
    with tempfile.TemporaryDirectory() as folder:
        measure_heaps(count, processes, Path(folder))
        measure_objects(count // FEWER_OBJECTS, processes, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
