"""`python -m bench explained`: does stats() name the memory that the kernel counts?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.allocators import Allocator, UnknownAllocatorError, parse_all
from bench.child import ChildFailedError, Command, SkippedError, run
from bench.suites.python import PROGRAMS
from bench.tables import markdown, number_text

HELP = "compare stats() with the process's own mappings in several programs"

BAR_PERCENT = 98.0

# A snapshot that names more than there is explains nothing either. In an idle process it may be off
# by what was handed out and never written: ends of spans, and of buffers larger than their content.
UNTOUCHED_KIB = 4096
UNTOUCHED_PART = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "--programs", default=",".join(PROGRAMS), metavar="NAME,...", help="default: all"
    )
    parser.add_argument(
        "--allocators", default="trimalloc-full,trimalloc-arena", metavar="NAME,...", help="modes"
    )
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="one that has trimalloc installed"
    )


def execute(options: argparse.Namespace) -> int:
    """Prints a row per program and moment; the exit status is 1 where one is under the bar."""
    try:
        allocators = parse_all(options.allocators.split(","))
    except UnknownAllocatorError as error:
        print(error, file=sys.stderr)
        return 2
    body, passed = [], True
    for program in options.programs.split(","):
        for allocator in allocators:
            try:
                metrics = _account(options.python, program, allocator)
            except SkippedError as reason:
                print(f"skipped: {program}: {reason}", file=sys.stderr)
                break
            except ChildFailedError as reason:
                print(reason, file=sys.stderr)
                passed = False
                continue
            for when in ("drop", "idle"):
                verdict = _verdict(metrics, when)
                passed = passed and not verdict
                body.append([program, allocator.name, when, *_cells(metrics, when), verdict])
    _print_table(body)
    return 0 if passed else 1


def _account(python: Path, program: str, allocator: Allocator) -> dict[str, float]:
    return run(Command((str(python), "-m", "bench.python.accounting", program)), allocator)


def _verdict(metrics: dict[str, float], when: str) -> str:
    """What is wrong; empty where nothing is."""
    if metrics[f"{when}_explained_percent"] < BAR_PERCENT:
        return "too little"
    allowed = UNTOUCHED_KIB + UNTOUCHED_PART * metrics[f"{when}_measured_kib"]
    return "too much" if when == "idle" and metrics["idle_untouched_kib"] > allowed else ""


def _cells(metrics: dict[str, float], when: str) -> list[str]:
    names = ("measured_kib", "untouched_kib", "anonymous_kib")
    sizes = [number_text(metrics[f"{when}_{name}"] / 1024) for name in names]
    return [f"{metrics[f'{when}_explained_percent']:.1f} %", *sizes]


def _print_table(body: Sequence[Sequence[str]]) -> None:
    head = ["program", "mode", "when", "explained"]
    head += [
        "of trimalloc's mappings, MiB",
        "untouched, MiB",
        "all anonymous memory, MiB",
        "verdict",
    ]
    print(markdown(head, body))
