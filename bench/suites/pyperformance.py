"""pyperformance's benchmarks under each allocator, on one or several interpreters."""

from __future__ import annotations

import functools
from pathlib import Path

from bench import child
from bench.allocators import Allocator
from bench.pyperformance.benchmarks import BENCHMARKS, Benchmark
from bench.pyperformance.environment import environment, script
from bench.suites.base import Metric, Program, Settings, Suite
from bench.suites.python import interpreters

METRICS = (
    Metric("us", "processor time", "us"),
    Metric("peak_kib", "peak resident memory", "MiB", 1024),
    Metric("rss_kib", "resident memory at the end", "MiB", 1024, shown=False),
)


def _measure(python: Path, benchmark: Benchmark, allocator: Allocator) -> dict[str, float]:
    own = environment(python)
    program = str(script(own, benchmark))
    argv = (str(own), "-m", "bench.pyperformance.worker", program, *benchmark.arguments)
    return child.run(child.Command(argv), allocator)


def make_suite(settings: Settings) -> Suite:
    """Every benchmark on every interpreter that has it."""
    programs = tuple(
        Program(benchmark.name + suffix, functools.partial(_measure, python, benchmark), version)
        for python, version, suffix in interpreters(settings.pythons)
        for benchmark in BENCHMARKS
        if version >= benchmark.minimum_python
    )
    return Suite("pyperformance", programs, METRICS, native=False, rounds=5)
