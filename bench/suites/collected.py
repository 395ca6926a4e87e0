"""Linked records that come and go: a collected heap beside Go's and beside malloc and free.

Each allocator serves the program that frees by hand; besides, there is one column for each other
way to do the same job. The figures are what the kernel counted, read at the end by bench/witness.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from bench import child
from bench.allocators import ROOT, Allocator
from bench.collected.runtimes import Runtime, build_with_malloc, found_runtimes
from bench.compile import BINARIES, compile_c
from bench.suites.base import Metric, Program, Settings, Suite
from bench.suites.programs import check_allocator

METRICS = (
    Metric("wall_s", "time by the clock", "s"),
    Metric("cpu_s", "processor time of all threads", "s"),
    Metric("peak_kib", "peak resident memory", "MiB", 1024),
    Metric("minor_faults", "page faults", "", shown=False),
)

DEPTHS = (16, 18, 20)


def measure(depth: int, allocator: Allocator) -> dict[str, float]:
    """One run of binary-trees."""
    runtime = allocator if isinstance(allocator, Runtime) else None
    build = build_with_malloc if runtime is None or runtime.build is None else runtime.build
    program = build()
    output = BINARIES / "collected" / "output"
    witness = compile_c("witness", [ROOT / "bench" / "witness" / "witness.c"])
    argv = (str(witness), os.devnull, str(output), str(program), str(depth))
    line = child.run_for_line(child.Command(argv), allocator)
    _check_output(allocator, depth, line["status"], output)
    if runtime is None:
        check_allocator(allocator, line)
    return {metric.name: float(line["metrics"][metric.name]) for metric in METRICS}


def _check_output(allocator: Allocator, depth: int, status: int, output: Path) -> None:
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    wanted = f"long lived tree of depth {depth}\t check: {2 ** (depth + 1) - 1}"
    if status != 0 or not lines or lines[-1] != wanted:
        last = lines[-1] if lines else "no output"
        raise child.ChildFailedError(
            f"binary-trees {depth} under {allocator.name}: status {status}: {last}"
        )


def make_suite(_: Settings) -> Suite:
    """A row for each depth; what this machine lacks is named."""
    others = []
    for found in found_runtimes():
        if isinstance(found, str):
            print(f"left out: {found}", file=sys.stderr)
        else:
            others.append(found)
    programs = tuple(
        Program(f"binary-trees {depth}", functools.partial(measure, depth)) for depth in DEPTHS
    )
    return Suite("collected", programs, METRICS, native=True, rounds=3, others=tuple(others))
