"""A large heap that stays: what huge pages bring after a while, and what making them costs."""

from __future__ import annotations

import functools

from bench.suites.base import Metric, Program, Settings, Suite
from bench.suites.python import interpreters, measure

METRICS = (
    Metric("turn_ms", "one walk and one run of the garbage collector, mean of a minute", "ms"),
    Metric("gc_first_ms", "the garbage collector, first three", "ms"),
    Metric("gc_last_ms", "the garbage collector, last three", "ms"),
    Metric("step_first_ns", "a step along random references, first three", "ns"),
    Metric("step_last_ns", "a step along random references, last three", "ns"),
    Metric("peak_kib", "peak resident memory", "MiB", 1024),
    Metric("idle_kib", "resident memory 2 s after everything was dropped", "MiB", 1024),
    Metric("huge_kib", "in huge pages", "MiB", 1024, shown=False),
)


def make_suite(settings: Settings) -> Suite:
    """A row per interpreter."""
    programs = tuple(
        Program(f"standing_graph{suffix}", functools.partial(measure, python, "standing_graph"), v)
        for python, v, suffix in interpreters(settings.pythons)
    )
    return Suite("standing", programs, METRICS, native=False, rounds=3)
