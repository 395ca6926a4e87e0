"""``trimalloc compare``: the same command under every allocator, measured side by side."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimalloc.comparison.rounds import Comparison

HELP = "run a command under trimalloc and every other allocator found, and compare"
TAKES_COMMAND = True

_USAGE = "trimalloc compare [OPTION...] -- COMMAND [ARG...]"

_EPILOG = """\
COMMAND: `python` and SCRIPT.py mean the Python that runs trimalloc. Its output
is not shown. Each run is proved from /proc/PID/maps: an allocator that is not
mapped is an error, not a figure. Runs are interleaved, the order rotates.

RSS after idle: a Python program that ends by itself is held for S seconds when
its last atexit function has run, with all that it still holds; the time of the
hold is not counted. Any program may report phases and metrics instead, as JSON
lines appended to the file that TRIMALLOC_COMPARE_REPORT names:

  {"phase": "burst"}       a mark in the curves
  {"phase": "quiet"}       the work is done: from here S seconds are watched
  {"metrics": {"requests_per_second": 812.5, "p99_ms": 14.2}}
  {"not_counted": 4711}    this child process only drives the load

TRIMALLOC_COMPARE_IDLE tells the program S; what goes on 3 seconds longer is
ended by SIGTERM.

Exit status: 0; 1 when a run under trimalloc failed; 2 for a mistake in the
command line; 130 after Ctrl-C, which ends everything that was started and
prints what there is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.usage = _USAGE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "--with",
        dest="names",
        metavar="NAME",
        nargs="+",
        action="extend",
        default=[],
        help="only trimalloc, glibc and these: trimalloc-full, trimalloc-arena (that mode "
        "alone), glibc-2-arenas, jemalloc, tcmalloc, mimalloc, python-mimalloc, or a build of "
        "your own as NAME=/path/lib.so; default: all that are found",
    )
    parser.add_argument(
        "--runs", type=_positive, default=3, metavar="N", help="rounds (default: %(default)s)"
    )
    parser.add_argument(
        "--idle",
        type=_seconds,
        default=2.0,
        metavar="S",
        help="seconds to watch after the work is done (default: %(default)g)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run and sample")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report to look at")
    parser.add_argument("--png", type=Path, metavar="FILE", help="write the curves (matplotlib)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 86400:
        raise argparse.ArgumentTypeError("must be between 0 and a day")
    return seconds


def main(args: argparse.Namespace) -> int:
    """Runs the comparison; returns the exit status."""
    from trimalloc.cli.compare_progress import Progress
    from trimalloc.comparison.rounds import measure
    from trimalloc.exporters import compare_text

    try:
        _check_outputs(args)
        comparison = _prepare(args)
    except ValueError as error:
        print(f"trimalloc compare: {error}", file=sys.stderr)
        return 2
    for one in comparison.missing:
        print(f"{one.name} is missing: {one.remedy}", file=sys.stderr)
    progress = Progress()
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        measure(comparison, progress.start, progress.update, progress.finish)
    finally:
        signal.signal(signal.SIGTERM, previous)
        progress.clear()
    print(compare_text.render(comparison, shutil.get_terminal_size((160, 25)).columns), end="")
    _write_outputs(args, comparison)
    if comparison.interrupted:
        return 130
    return 1 if comparison.ours_failed else 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _check_outputs(args: argparse.Namespace) -> None:
    """Before minutes of runs, not after them."""
    for path in (args.json, args.html, args.png):
        if path is not None and not path.absolute().parent.is_dir():
            raise ValueError(f"{path}: no such folder")
    if args.png is not None:
        from trimalloc.plots import require_matplotlib

        require_matplotlib()


def _prepare(args: argparse.Namespace) -> Comparison:
    from trimalloc.comparison import allocators, command, machine
    from trimalloc.comparison.rounds import Comparison
    from trimalloc.comparison.run import Task

    resolved = command.resolve(args.command or [])
    interpreter = command.interpreter_of(resolved)
    directories = allocators.library_directories(os.environ)
    found, missing = allocators.discover(interpreter, directories)
    if args.names:
        found, missing = allocators.select(args.names, found, missing)
    return Comparison(
        task=Task(resolved, args.idle, hold=interpreter is not None),
        rounds=args.runs,
        allocators=found,
        missing=missing,
        machine=machine.describe(found, interpreter),
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
    )


def _write_outputs(args: argparse.Namespace, comparison: Comparison) -> None:
    if args.json is not None:
        from trimalloc.exporters import compare_json

        args.json.write_text(compare_json.render(comparison), encoding="utf-8")
    if args.html is not None:
        from trimalloc.exporters import compare_html

        args.html.write_text(compare_html.render(comparison), encoding="utf-8")
    if args.png is not None:
        from trimalloc.plots import compare_png

        compare_png.write(comparison, args.png)
    for path in (args.json, args.html, args.png):
        if path is not None:
            print(f"wrote {path}", file=sys.stderr)
