"""The collector of a heap beside Go's and CPython's, each with its default settings.

    python -m bench.collected.collectors [RECORDS [ROUNDS]]

Records {int64, two references}; rounds are interleaved, and the median of each figure is shown:

    mark      a whole collection of a graph that stays: ns of processor time for each record. `tree`
              and `list` lie in memory as they are linked, `random` and `shuffled` (a list) do not
    pauses    a tree stays while records of it are replaced, and 32 others made for each: how long
              the program stood, as each collector counts, and the longest step that it took, which
              on a busy machine is what its scheduler does
    allocate  records of 24 bytes with references (a heap's take 32), each dropped soon
    drop      a thousand trees, nine in ten of them dropped, one collection, 10 s later: resident
              memory for each byte of the records that stay, and for each byte of their spans
"""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.child import SkippedError
from bench.collected.runtimes import build_go, build_with_heap

JOBS = Path(__file__).parent
RECORDS = 10_000_000
ROUNDS = 3
PAUSE_SECONDS = 15
ALLOCATIONS_FOR_EACH_RECORD = 20
SHAPES = ("tree", "random", "list", "shuffled")

Figures = dict[str, float]
Build = Callable[[], Sequence[str]]


def _heap() -> Sequence[str]:
    return [str(build_with_heap("heap_jobs", [JOBS / "heap_jobs.c"]))]


def _go() -> Sequence[str]:
    return [str(build_go("go_jobs", JOBS / "go_jobs.go"))]


def _python() -> Sequence[str]:
    return [sys.executable, "-m", "bench.collected.collectors.python_jobs"]


COLUMNS: dict[str, Build] = {"heap": _heap, "Go": _go, "CPython": _python}


def marking(found: Figures) -> Figures:
    """What a record costs."""
    return {"ns": found["cpu_s"] / found["records"] * 1e9}


def pausing(found: Figures) -> Figures:
    """As it was counted."""
    names = {"p50_us": "p50 us", "p99_us": "p99 us", "max_us": "max us"}
    shown = {title: found[name] for name, title in names.items() if name in found}
    return {**shown, "longest step us": found["longest_step_us"], "step ns": found["step_ns"]}


def allocating(found: Figures) -> Figures:
    """By both clocks."""
    return {"wall ns": found["ns"], "cpu ns": found["cpu_ns"]}


def dropping(found: Figures) -> Figures:
    """What stays, in terms of what should."""
    shown = {"x live": found["rss_kib"] / found["live_kib"]}
    if "spans_kib" in found:
        shown["x spans"] = found["rss_kib"] / found["spans_kib"]
    return shown


def jobs(records: int) -> dict[str, tuple[list[str], Callable[[Figures], Figures]]]:
    """Each row's name, command line, and what it shows."""
    marks = {f"mark {shape}": (["mark", shape, str(records)], marking) for shape in SHAPES}
    allocations = str(records * ALLOCATIONS_FOR_EACH_RECORD)
    return {
        **marks,
        "pauses": (["pauses", str(records), str(PAUSE_SECONDS)], pausing),
        "allocate": (["allocate", allocations], allocating),
        "drop": (["drop", str(records)], dropping),
    }


@functools.cache
def _command(column: str) -> Sequence[str]:
    """How a column's program is started; empty when this machine can't have it."""
    try:
        return COLUMNS[column]()
    except SkippedError as error:
        print(f"left out: {column}: {error}", file=sys.stderr)
        return []


def measure(column: str, words: list[str]) -> Figures | None:
    """One run."""
    command = _command(column)
    # CPython marks from what it owns, in any order of it: a shape is a shape.
    if not command or (column == "CPython" and words[0] == "mark" and words[1] != "tree"):
        return None
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"collectors: {column} {' '.join(words)} failed: {done.stderr.strip()}")
    found: Figures = json.loads(done.stdout)
    return found


def show(name: str, columns: dict[str, list[Figures]]) -> None:
    """A line for each figure of a row."""
    titles = dict.fromkeys(title for runs in columns.values() for run in runs for title in run)
    for title in titles:
        cells = []
        for column in COLUMNS:
            values = [run[title] for run in columns[column] if title in run]
            cells.append(f"{statistics.median(values):.4g}" if values else "")
        print(f"| {name} | {title} | " + " | ".join(cells) + " |", flush=True)


def main(argv: list[str]) -> None:
    """Prints a table."""
    try:
        records, rounds = [*map(int, argv), *(RECORDS, ROUNDS)[len(argv) :]]
    except ValueError:
        sys.exit(f"collectors: {' '.join(argv)!r}: give records and rounds such as 1000000 3")
    print(f"{records} records, median of {rounds}, Python {sys.version.split()[0]}\n")
    print("| | | " + " | ".join(COLUMNS) + " |")
    print("| --- | --- |" + " ---: |" * len(COLUMNS))
    for name, (words, figures) in jobs(records).items():
        found: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
        for _ in range(rounds):
            for column in COLUMNS:
                if (run := measure(column, words)) is not None:
                    found[column].append(figures(run))
        show(name, found)


if __name__ == "__main__":
    main(sys.argv[1:])
