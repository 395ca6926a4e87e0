"""``trimalloc stats``: where the memory of running processes is, read from outside."""

from __future__ import annotations

import argparse
import json
import sys
import time

HELP = "show where the memory of a running process is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.epilog = (
        "The process is not stopped. It must belong to the same user and run on trimalloc. "
        "Exit status: 1 when there is no such process."
    )
    parser.add_argument(
        "pid", nargs="?", type=int, metavar="PID", help="the process (default: list all of them)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, a line per reading")
    parser.add_argument(
        "--watch",
        nargs="?",
        type=_interval,
        const=2.0,
        metavar="S",
        help="read again every S seconds until the process ends (default: %(const)g)",
    )


def _interval(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError("must be more than 0 and less than a day")
    return seconds


def main(args: argparse.Namespace) -> int:
    """Print one reading, or one after the other; return the exit status."""
    readings = 0
    while True:
        try:
            text = _all_processes(args.json) if args.pid is None else _one(args.pid, args.json)
        except OSError as error:
            if readings and isinstance(error, ProcessLookupError):
                return 0  # it has ended while we watched
            print(f"trimalloc stats: {error.strerror}", file=sys.stderr)
            return 1
        if args.watch and readings and not args.json:
            print()
        print(text, flush=True)
        readings += 1
        if not args.watch:
            return 0
        time.sleep(args.watch)


def _one(pid: int, as_json: bool) -> str:
    from trimalloc.snapshot import stats

    snapshot = stats(pid)
    return json.dumps(snapshot.to_dict()) if as_json else str(snapshot)


def _all_processes(as_json: bool) -> str:
    from trimalloc.processes import snapshots
    from trimalloc.sizes import format_size

    found = snapshots()
    if as_json:
        return json.dumps([snapshot.to_dict() for snapshot, _ in found])
    if not found:
        raise ProcessLookupError(
            0, "none of your processes runs on trimalloc; start one with `trimalloc run`"
        )
    lines = ["    PID      in use    resident  command"]
    lines += [
        f"{snapshot.pid:7d}  {format_size(snapshot.in_use):>10}  "
        f"{format_size(snapshot.resident_estimate):>10}  {command}"
        for snapshot, command in found
    ]
    return "\n".join(lines)
