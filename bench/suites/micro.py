"""The C programs of bench/micro: one row per program and arguments."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from bench import child
from bench.allocators import ROOT, Allocator
from bench.compile import compile_c
from bench.suites.base import Metric, Program, Settings, Suite

SOURCES = ROOT / "bench" / "micro"

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

METRICS = (
    Metric("ns", "time per operation", "ns"),
    Metric("hwm_kib", "peak resident memory", "MiB", 1024),
    Metric("rss_kib", "resident memory at the end", "MiB", 1024, shown=False),
    Metric("ns_best", "best repetition", "ns", shown=False),
)

PAIR_BYTES = [8, 16, 32, 64, 128, 256, 512, *(KIB << n for n in range(6)), 256 * KIB, MIB, 32 * MIB]
BATCHES = [
    *((order, 10**power, 64) for order in ("lifo", "fifo", "random") for power in range(2, 7)),
    *((order, 1000, 1024) for order in ("lifo", "fifo", "random")),
    ("fifo", 1_000_000, 32),
    ("fifo", 100_000, 512),
]
ALIGNED = [(64, 48), (64, 1000), (4096, 100), (4096, 8192), (65_536, 65_536), (2 * MIB, 100_000)]


def size_text(count: int) -> str:
    """A number of bytes as a person writes it."""
    for factor, unit in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count >= factor and count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{count} B"


def rows() -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Each row's name and the command that measures it."""
    for size in PAIR_BYTES:
        yield f"pair {size_text(size)}", ("pair", "plain", size)
    for size in (256 * KIB, MIB, 32 * MIB):
        yield f"pair touched {size_text(size)}", ("pair", "touch", size)
    for order, count, size in BATCHES:
        yield f"batch {order} {count} x {size_text(size)}", ("batch", order, count, size)
    for mix in ("small", "medium", "large", "python"):
        yield f"churn {mix}", ("churn", mix, 1)
    for mix, threads in (("small", 2), ("small", 8), ("python", 2)):
        yield f"churn {mix}, {threads} threads", ("churn", mix, threads)
    for threads in (4, 64, 500):
        yield f"churn few, {threads} threads", ("churn", "few", threads)
    for size in (64, KIB):
        yield f"remote turns {size_text(size)}", ("remote", "turns", size)
        yield f"remote pipe {size_text(size)}", ("remote", "pipe", size)
    for producers, consumers, size in ((2, 2, 64), (4, 4, 64), (1, 3, 64), (2, 2, KIB)):
        name = f"remote {producers} to {consumers} {size_text(size)}"
        yield name, ("remote", "many", producers, consumers, size)
    yield from _growth_rows()
    for alignment, size in ALIGNED:
        name = f"aligned {size_text(alignment)}, {size_text(size)}"
        yield name, ("aligned", alignment, size)
    for kind, size in (
        *(("pair", size) for size in (64, KIB, 64 * KIB, MIB, GIB)),
        *(("sparse", size) for size in (MIB, 64 * MIB, GIB)),
        *(("dirty", size) for size in (64 * KIB, 8 * MIB, 64 * MIB)),
    ):
        yield f"calloc {kind} {size_text(size)}", ("zeroed", kind, size)
    yield "thread birth, no blocks", ("threads", "birth", 0)
    yield "thread birth, 1000 blocks", ("threads", "birth", 1000)
    yield "threads idle, 32", ("threads", "idle", 32, 1)
    yield "threads idle, 500", ("threads", "idle", 500, 4)
    yield "alone mutex", ("alone", "mutex")
    yield "alone putc", ("alone", "putc")
    yield "ticking", ("ticking", 300_000)
    yield "walk fresh", ("walk", "fresh", 500_000)
    yield "walk churned", ("walk", "churned", 500_000)
    yield "survivors", ("survivors", 1_000_000)


def _growth_rows() -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for pattern, size in (
        ("list", 64 * MIB),
        ("bytearray", 64 * MIB),
        ("str", MIB),
        ("by128", 4 * MIB),
        ("quarter", 4 * MIB),
        ("quarter", 32 * KIB),
        ("two", 16 * MIB),
        ("shrink", 4 * MIB),
    ):
        yield f"growth {pattern} to {size_text(size)}", ("growth", pattern, size)
    for pattern in ("list", "bytearray", "str"):
        size = MIB if pattern == "str" else 64 * MIB
        yield f"growth copied, {pattern} to {size_text(size)}", ("copied", pattern, size)


def build(family: str) -> Path:
    """The program of a family."""
    return compile_c(f"micro/{family}", [SOURCES / f"{family}.c", SOURCES / "measure.c"])


def _measure(arguments: tuple[str | int, ...], allocator: Allocator) -> dict[str, float]:
    family, *rest = arguments
    argv = (str(build(str(family))), *map(str, rest))
    return child.run(child.Command(argv), allocator)


def make_suite(_: Settings) -> Suite:
    """The suite; it needs no interpreter."""
    programs = tuple(
        Program(name, functools.partial(_measure, arguments)) for name, arguments in rows()
    )
    return Suite("micro", programs, METRICS, native=True, rounds=5)
