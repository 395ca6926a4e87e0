"""`python -m bench run`: runs suites under allocators, interleaved, and prints the tables."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from bench import suites
from bench.allocators import (
    DEFAULT_NAMES,
    ROOT,
    Allocator,
    UnknownAllocatorError,
    WrongAllocatorError,
    parse,
    parse_all,
)
from bench.machine import describe_run
from bench.report import render
from bench.results import ResultFile, Sample
from bench.schedule import Rounds, Session
from bench.suites.base import Program, Settings, Suite, UnusableSettingError

HELP = "run benchmarks under several allocators, interleaved"

# Where no figure is asked for, a ratio is to be known to within this.
DEFAULT_SPREAD = 0.03


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "--suite",
        action="append",
        choices=suites.NAMES,
        help="which suite; may be given several times "
        f"(default: {', '.join(suites.DEFAULT_NAMES)})",
    )
    parser.add_argument(
        "--allocators",
        metavar="NAME,...",
        help="names, NAME=/path/to/lib.so, NAME=BASE+VARIABLE=VALUE "
        f"(default: {','.join(DEFAULT_NAMES)}, as far as found)",
    )
    parser.add_argument(
        "--programs",
        metavar="PATTERN,...",
        help="only rows whose name fits one of the shell patterns, such as 'pair*'",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="exactly N rounds (default: the suite's own number, then until the spread is known)",
    )
    parser.add_argument(
        "--max-rounds",
        type=int,
        metavar="N",
        help="at most N rounds (default: with --rounds as many, else three times the suite's own)",
    )
    parser.add_argument(
        "--spread",
        type=float,
        default=DEFAULT_SPREAD,
        metavar="PART",
        help="a row is settled when its ratios are known to within this (default: %(default)s)",
    )
    parser.add_argument(
        "--python",
        action="append",
        type=Path,
        metavar="PATH",
        help="interpreter to measure on; may be given several times (default: this one)",
    )
    parser.add_argument(
        "--folder",
        action="append",
        type=Path,
        metavar="DIR",
        help="suite `programs`: a checkout of mimalloc-bench, or a folder with a programs.ini; "
        "may be given several times (default: programs of Debian)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="CSV",
        help="where the raw figures go (default: bench/results/SUITES-DATE.csv)",
    )
    parser.add_argument(
        "--metrics",
        default="",
        metavar="NAME,...",
        help="metrics to print tables of besides the usual ones",
    )
    parser.add_argument("--list", action="store_true", help="print the rows' names and end")


def execute(options: argparse.Namespace) -> int:
    """Runs the command; the exit status is 1 where a program failed, 2 for a wrong request."""
    pythons = [path.absolute() for path in options.python or [Path(sys.executable)]]
    settings = Settings(pythons, options.folder or ())
    try:
        chosen = [suites.load(name, settings) for name in options.suite or suites.DEFAULT_NAMES]
    except UnusableSettingError as error:
        print(error, file=sys.stderr)
        return 2
    programs = {suite.name: _matching(suite, options.programs) for suite in chosen}
    if options.list:
        print("\n".join(f"{name}: {row.name}" for name in programs for row in programs[name]))
        return 0
    if not any(programs.values()):
        print(f"no row fits {options.programs}", file=sys.stderr)
        return 2
    try:
        allocators = _allocators(options.allocators)
    except UnknownAllocatorError as error:
        print(error, file=sys.stderr)
        return 2
    return _run(options, chosen, programs, allocators, pythons)


def _run(
    options: argparse.Namespace,
    chosen: Sequence[Suite],
    programs: dict[str, list[Program]],
    allocators: list[Allocator],
    pythons: Sequence[Path],
) -> int:
    columns = [*allocators, *(other for suite in chosen for other in suite.others)]
    header = describe_run(columns, pythons)
    before = [column.describe() for column in columns]
    samples: list[Sample] = []
    complete = True
    with ResultFile(options.output or _default_output(chosen), header) as file:
        for suite in chosen:
            able = _different(allocators) if suite.native else allocators
            session = Session(suite, [*able, *suite.others])
            try:
                session.run(programs[suite.name], _rounds(options, suite), file.append)
            except WrongAllocatorError as error:
                print(f"\n{error}: nothing measured here would mean anything", file=sys.stderr)
                return 1
            samples += session.samples
            complete = _report_gaps(session) and complete
    print(render(header, samples, options.metrics.split(",")))
    print(f"raw figures: {file.path}")
    if before != [column.describe() for column in columns]:
        print("a library changed during the run: its figures mix two builds", file=sys.stderr)
        return 1
    return 0 if complete else 1


def _allocators(names: str | None) -> list[Allocator]:
    """Those asked for, all of which must be there; or the usual ones, as far as they are."""
    if names is not None:
        return parse_all(names.split(","))
    found = []
    for name in DEFAULT_NAMES:
        try:
            found.append(parse(name))
        except UnknownAllocatorError as error:
            print(f"left out: {error}", file=sys.stderr)
    return found


def _different(allocators: Sequence[Allocator]) -> list[Allocator]:
    """Without those that differ only in what they tell CPython."""
    seen: dict[object, Allocator] = {}
    for allocator in allocators:
        first = seen.setdefault((allocator.library, allocator.native_settings()), allocator)
        if first is not allocator:
            print(f"left out: {allocator.name} is {first.name} to a C program", file=sys.stderr)
    return list(seen.values())


def _matching(suite: Suite, patterns: str | None) -> list[Program]:
    if patterns is None:
        return list(suite.programs)
    wanted = patterns.split(",")
    return [
        program
        for program in suite.programs
        # The version that a row names where there are several interpreters need not be given.
        if any(
            fnmatch.fnmatchcase(program.name, form)
            for pattern in wanted
            for form in (pattern, f"{pattern} (*)")
        )
    ]


def _rounds(options: argparse.Namespace, suite: Suite) -> Rounds:
    at_least = options.rounds or suite.rounds
    at_most = options.max_rounds or (options.rounds if options.rounds else 3 * suite.rounds)
    return Rounds(at_least, max(at_least, at_most), options.spread)


def _default_output(chosen: Sequence[Suite]) -> Path:
    names = "-".join(suite.name for suite in chosen)
    return ROOT / "bench" / "results" / f"{names}-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}.csv"


def _report_gaps(session: Session) -> bool:
    """Says what is missing from the tables; True where no program failed."""
    for program, reason in session.skipped.items():
        print(f"skipped: {session.suite.name} {program}: {reason}", file=sys.stderr)
    for (program, allocator), reason in session.failed.items():
        first = reason.splitlines()[0]
        print(f"failed: {session.suite.name} {program}, {allocator}: {first}", file=sys.stderr)
    return not session.failed
