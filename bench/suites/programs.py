"""Whole C programs that others wrote: mimalloc-bench's, Debian's, or those of any folder.

The programs are not changed and know of nothing. What one costs is what the kernel counted, read at
its end by bench/witness; which library served it is what the loader says (bench/bindings.py) and
what was mapped at its end.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from bench import child
from bench.allocators import ROOT, Allocator
from bench.bindings import STATIC, malloc_library, over_linked_allocator
from bench.compile import compile_c
from bench.programs.manifest import Row, build_folder, read_manifest
from bench.suites.base import Metric, Program, Settings, Suite, UnusableSettingError

METRICS = (
    Metric("time_s", "processor time, or what a program of fixed duration says of itself", "s"),
    Metric("wall_s", "time by the clock", "s"),
    Metric("peak_kib", "peak resident memory of the largest process", "MiB", 1024),
    Metric("minor_faults", "page faults", "", shown=False),
    Metric("processes", "processes", "", shown=False),
)

PROGRAMS = ROOT / "bench" / "programs"
DEBIAN = PROGRAMS / "debian"
MANIFEST = "programs.ini"

# Where mimalloc-bench's own build puts its programs.
MIMALLOC_BENCH_OUTPUT = Path("out", "bench")

# A rate becomes the time of so many operations: less is better in every table.
RATE_OPERATIONS = 1e9


def rows_of(folder: Path) -> list[Row]:
    """The rows of a folder: of its own list, or of mimalloc-bench's where it is such a checkout."""
    if (folder / MANIFEST).is_file():
        return read_manifest(folder / MANIFEST, folder)
    if (folder / MIMALLOC_BENCH_OUTPUT).is_dir():
        return read_manifest(PROGRAMS / "mimalloc-bench.ini", folder)
    raise UnusableSettingError(
        f"{folder} has neither {MANIFEST} nor {MIMALLOC_BENCH_OUTPUT}: give a checkout of "
        "mimalloc-bench (github.com/daanx/mimalloc-bench) built by its build-bench-env.sh, or list "
        f"your own programs as bench/programs/debian/{MANIFEST} does"
    )


def measure(row: Row, allocator: Allocator) -> dict[str, float]:
    """One run of a row's program."""
    missing = row.missing()
    if missing is not None:
        raise child.SkippedError(missing)
    program = row.executable()
    assert program is not None
    allocator = over_linked_allocator(allocator, program)
    build_folder(row.folder).mkdir(parents=True, exist_ok=True)
    _prepare(row)
    witness = compile_c("witness", [ROOT / "bench" / "witness" / "witness.c"])
    argv = (str(witness), str(row.input), str(row.output), *row.command)
    line = child.run_for_line(child.Command(argv, folder=row.folder), allocator)
    output = row.output.read_text(encoding="utf-8", errors="replace")
    if line["status"] not in row.statuses:
        last = output.strip().splitlines()[-1:]
        what = f"{row.name} under {allocator.name}: status {line['status']}"
        raise child.ChildFailedError("\n    ".join([what, *last]))
    check_allocator(allocator, line)
    return figures(row, line["metrics"], output)


def figures(row: Row, counted: dict[str, float], output: str) -> dict[str, float]:
    """The row's metrics, of what the kernel counted and what the program printed."""
    metrics = {name: counted[name] for name in ("peak_kib", "minor_faults", "processes")}
    if row.seconds is not None:
        return {"time_s": _own_figure(row.seconds, output, row), **metrics}
    if row.rate is not None:
        return {"time_s": RATE_OPERATIONS / _own_figure(row.rate, output, row), **metrics}
    return {"time_s": counted["cpu_s"], "wall_s": counted["wall_s"], **metrics}


def _own_figure(pattern: re.Pattern[str], output: str, row: Row) -> float:
    found = pattern.findall(output)
    if not found or float(found[-1]) <= 0:
        raise child.ChildFailedError(f"{row.name}: nothing like {pattern.pattern} in its output")
    return float(found[-1])


def _prepare(row: Row) -> None:
    if not row.prepare:
        return
    done = subprocess.run(row.prepare, cwd=row.folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n    ".join(done.stderr.strip().splitlines()[-3:])
        raise child.SkippedError(f"{row.prepare[0]} failed: {last}")


def check_allocator(allocator: Allocator, line: dict[str, Any]) -> None:
    """Of the process that had the most memory: where malloc comes from, and what was mapped."""
    environment = allocator.environment(os.environ)
    malloc = malloc_library(Path(line["executable"]), environment)
    if malloc == STATIC:
        raise child.SkippedError(f"{line['executable']} has {STATIC}: no allocator reaches it")
    allocator.check({"malloc": malloc, **line["proof"]})


def make_suite(settings: Settings) -> Suite:
    """All rows of all folders; a row names its folder where there are several."""
    folders = [folder.absolute() for folder in settings.folders or (DEBIAN,)]
    names = [folder.name for folder in folders]
    for name in names:
        if names.count(name) > 1:
            raise UnusableSettingError(f"two folders are named {name}: their rows would be mixed")
    programs = []
    for folder in folders:
        suffix = f" ({folder.name})" if len(folders) > 1 else ""
        programs += [
            Program(row.name + suffix, functools.partial(measure, row)) for row in rows_of(folder)
        ]
    return Suite("programs", tuple(programs), METRICS, native=True, rounds=3)
