"""What a record costs in Python: a `trimalloc.Heap` beside objects, dicts and a NumPy array.

Of heaps there are two: with references of 32 bits, and with those of 64.

    python -m bench.collected.records [COUNT]

Records {int64, two references}, each linked to two others, in a process of its own for each kind:

    bytes      resident memory per record, all in, with a list, batch or array that holds them;
               the libraries, NumPy too, are there before
    build ns   per record: made and linked
    batch ns   per record: a heap or array made afresh, and one number of each record written
    gc ms      `gc.collect()` with all of them alive, less what it takes without
    read ns    one number of one record, through a handle
    write ns   the same written
    store ns   one reference of one record to another
    get ns     one number of each record into an array or list of its own, per record
    set ns     the same written from one
    sum ns     the sum of one number of each record, per record: NumPy's needs no copy

The row "own functions" is what CPython takes to call attribute functions that do nothing, which
a C type needs whose fields are no Python objects (own_functions.c, with Python's headers).
"""

from __future__ import annotations

import gc
import importlib.machinery
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from functools import partial
from pathlib import Path

from bench.compile import compile_c
from bench.python.harness import require, status_kib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

np = require("numpy")
trimalloc = require("trimalloc")
require("trimalloc.collected.heap")  # 6 MiB of modules, which the first heap would import

COUNT = 5_000_000
REPEAT = 200_000  # of a single access
BEST_OF = 5
FIGURES = (
    "bytes",
    "build ns",
    "batch ns",
    "gc ms",
    "read ns",
    "write ns",
    "store ns",
    "get ns",
    "set ns",
    "sum ns",
)


class Slots:
    """The usual advice for many small objects."""

    __slots__ = ("a", "b", "id")

    def __init__(self, number: int) -> None:
        self.id = number
        self.a: Slots | None = None
        self.b: Slots | None = None


def seconds(work: Callable[[], object]) -> float:
    """The best of a few runs."""
    best = float("inf")
    for _ in range(BEST_OF):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def access_figures(record: Any, other: Any) -> dict[str, float]:
    """ns of one access by attribute, less the loop's."""

    def empty() -> None:
        for _ in range(REPEAT):
            pass

    def read() -> None:
        for _ in range(REPEAT):
            record.id  # noqa: B018

    def write() -> None:
        for _ in range(REPEAT):
            record.id = 7

    def store() -> None:
        for _ in range(REPEAT):
            record.a = other

    loop = seconds(empty)
    return {
        f"{name} ns": (seconds(work) - loop) / REPEAT * 1e9
        for name, work in (("read", read), ("write", write), ("store", store))
    }


def column_figures(
    count: int,
    get: Callable[[], object],
    put: Callable[[], object],
    total: Callable[[], object],
) -> dict[str, float]:
    """ns a record of what is done to one number of all records."""
    return {
        f"{name} ns": seconds(work) / count * 1e9
        for name, work in (("get", get), ("set", put), ("sum", total))
    }


def batch_figure(
    count: int, make: Callable[[], Any], clean_up: Callable[[], object]
) -> dict[str, float]:
    """ns a record that is made with all others, its number written. The median of a few runs."""
    numbers = np.arange(count)
    took = []
    for _ in range(BEST_OF):
        start = time.perf_counter()
        records = make()
        records.id = numbers
        took.append(time.perf_counter() - start)
        del records
        clean_up()
    return {"batch ns": statistics.median(took) / count * 1e9}


def slots(count: int) -> tuple[Any, Callable[[], dict[str, float]]]:
    """Objects with `__slots__`, in a list."""
    records = [Slots(number) for number in range(count)]
    for position, record in enumerate(records):
        record.a, record.b = records[position - 1], records[-position]

    def put() -> None:
        for number, record in enumerate(records):
            record.id = number

    def figures() -> dict[str, float]:
        return access_figures(records[5], records[6]) | column_figures(
            count,
            lambda: [record.id for record in records],
            put,
            lambda: sum(record.id for record in records),
        )

    return records, figures


def dicts(count: int) -> tuple[Any, Callable[[], dict[str, float]]]:
    """A dict for each record, in a list."""
    records: list[dict[str, Any]] = [
        {"id": number, "a": None, "b": None} for number in range(count)
    ]
    for position, record in enumerate(records):
        record["a"], record["b"] = records[position - 1], records[-position]

    def put() -> None:
        for number, record in enumerate(records):
            record["id"] = number

    def figures() -> dict[str, float]:
        return column_figures(
            count,
            lambda: [record["id"] for record in records],
            put,
            lambda: sum(record["id"] for record in records),
        )

    return records, figures


def array(count: int) -> tuple[Any, Callable[[], dict[str, float]]]:
    """One structured array; references are row numbers. Rows can't come and go one by one."""
    records = np.zeros(count, [("id", np.int64), ("a", np.uint32), ("b", np.uint32)])
    records["id"] = np.arange(count)
    records["a"], records["b"] = np.arange(count) - 1, -np.arange(count)

    def figures() -> dict[str, float]:
        numbers = np.arange(count)

        def put() -> None:
            records["id"] = numbers

        def fresh() -> Any:
            return np.zeros(count, records.dtype).view(np.recarray)

        return batch_figure(count, fresh, lambda: None) | column_figures(
            count, records["id"].copy, put, records["id"].sum
        )

    return records, figures


def heap_of_nodes(references: int) -> tuple[Any, Any]:
    """A heap, and its class of records."""
    home = trimalloc.Heap(references=references)
    namespace = {"__annotations__": {"id": trimalloc.int64, "a": "Node | None", "b": "Node | None"}}
    return home, home.record(type("Node", (), namespace))


def heap(count: int, references: int = 32) -> tuple[Any, Callable[[], dict[str, float]]]:
    """Records of a heap, in a batch."""
    home, node = heap_of_nodes(references)
    records = node.batch(count)
    records.id = np.arange(count)
    records.a, records.b = records[np.arange(count) - 1], records[-np.arange(count)]
    home.collect()  # what linking them took goes back

    def figures() -> dict[str, float]:
        numbers = np.arange(count)
        other_home, other_node = heap_of_nodes(references)

        def put() -> None:
            records.id = numbers

        return (
            access_figures(records[5], records[6])
            | column_figures(count, lambda: records.id, put, lambda: int(records.id.sum()))
            | batch_figure(count, lambda: other_node.batch(count), other_home.collect)
        )

    return (home, records), figures


def own_functions() -> Any:
    """An object of a type with attribute functions of its own that do nothing."""
    source = Path(__file__).with_name("own_functions.c")
    flags = ["-shared", "-fPIC", f"-I{sysconfig.get_path('include')}"]
    name = f"collected/own_functions{sysconfig.get_config_var('EXT_SUFFIX')}"
    loader = importlib.machinery.ExtensionFileLoader(
        "own_functions", str(compile_c(name, [source], flags))
    )
    spec = importlib.util.spec_from_loader("own_functions", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module.Object()


OWN_FUNCTIONS = "own functions"
KINDS = {
    "__slots__": slots,
    "dict": dicts,
    "NumPy array": array,
    "trimalloc.Heap": heap,
    "references=64": partial(heap, references=64),
}


def measure(kind: str, count: int) -> dict[str, float]:
    """All figures of one kind, in this process."""
    if kind == OWN_FUNCTIONS:
        return access_figures(own_functions(), None)
    gc.collect()
    collecting = seconds(gc.collect)
    before = status_kib("VmRSS")
    start = time.perf_counter()
    alive, figures = KINDS[kind](count)
    built = time.perf_counter() - start
    result = {
        "bytes": (status_kib("VmRSS") - before) * 1024 / count,
        "build ns": built / count * 1e9,
        "gc ms": (seconds(gc.collect) - collecting) * 1e3,
    }
    result |= figures()
    del alive
    return result


def main(argv: list[str]) -> None:
    """Prints a table; with a kind, one line of JSON."""
    try:
        count = int(argv[0]) if argv else COUNT
    except ValueError:
        sys.exit(f"records: {argv[0]!r} is no number of records; give one such as 1000000")
    if len(argv) > 1:
        print(json.dumps(measure(argv[1], count)), flush=True)
        os._exit(0)  # freeing a million linked objects one by one is nobody's figure here
    print(f"{count} records {{int64, two references}}, Python {sys.version.split()[0]}\n")
    print("| | " + " | ".join(FIGURES) + " |")
    print("| --- |" + " ---: |" * len(FIGURES))
    kinds = list(KINDS)
    if Path(sysconfig.get_path("include"), "Python.h").exists():
        kinds.insert(1, OWN_FUNCTIONS)
    for kind in kinds:
        command = [sys.executable, "-m", "bench.collected.records", str(count), kind]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"records: {kind} failed: {done.stderr.strip()}")
        found = json.loads(done.stdout)
        cells = (f"{found[name]:.3g}" if name in found else "" for name in FIGURES)
        print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
