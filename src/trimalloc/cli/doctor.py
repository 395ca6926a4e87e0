"""``trimalloc doctor``: proves whether trimalloc is in use, and names what it does not reach."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from trimalloc.cli import engine_options

if TYPE_CHECKING:
    from trimalloc.diagnosis.host import Fact
    from trimalloc.diagnosis.verdict import Diagnosis

HELP = "prove that trimalloc is in use, and name what it cannot reach"
TAKES_COMMAND = True

_USAGE = "trimalloc doctor [OPTION...] [PID | -- COMMAND [ARG...]]"
_EPILOG = """\
PID: a running process is read from outside. COMMAND: it is started as `trimalloc run` would, for a
few seconds; a Python is also asked from inside whose memory its allocators hand out. Neither: that
question alone, for the Python that runs trimalloc.

Exit status: 0 in use, 1 not in use, 2 could not tell, or a mistake in the command line.
"""
_STATUS = {"in use": 0, "not in use": 1, "unknown": 2}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.usage = _USAGE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("pid", nargs="?", type=int, metavar="PID", help="a running process")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--seconds",
        type=float,
        default=5.0,
        metavar="S",
        help="how long to let COMMAND run at most (default: %(default)g)",
    )
    engine_options.add_options(parser)


def main(args: argparse.Namespace) -> int:
    """Print the diagnosis; return what it says as an exit status."""
    from trimalloc.diagnosis.host import facts

    try:
        diagnosis = _diagnose(args)
    except (OSError, ValueError) as error:
        message = error.strerror if isinstance(error, OSError) and error.strerror else error
        print(f"trimalloc doctor: {message}", file=sys.stderr)
        return 2
    print(_json(diagnosis, facts()) if args.json else _text(diagnosis, facts()))
    return _STATUS[diagnosis.verdict]


def _diagnose(args: argparse.Namespace) -> Diagnosis:
    from trimalloc.diagnosis import examine
    from trimalloc.diagnosis.verdict import Diagnosis

    if args.pid is not None:
        if args.command is not None:
            raise ValueError("give a PID or a command, not both")
        return examine.examine_process(args.pid)
    environment = _environment(args)
    if args.command is None:
        diagnosis = Diagnosis(f"{sys.executable} under `trimalloc run`")
        examine.examine_python(diagnosis, sys.executable, environment)
        return diagnosis
    command = _resolved(args.command)
    diagnosis = Diagnosis(" ".join(args.command))
    examine.examine_command(diagnosis, command, environment, args.seconds)
    python = _python_of(command[0])
    if python is not None:
        examine.examine_python(diagnosis, python, environment)
    return diagnosis


def _environment(args: argparse.Namespace) -> dict[str, str]:
    from trimalloc import launch
    from trimalloc.location import library_for

    settings = launch.with_mode(
        engine_options.chosen_settings(args), os.environ, same_python=args.command is None
    )
    return launch.preload_environment(os.environ, library_for(os.environ, settings), settings)


def _resolved(command: list[str]) -> list[str]:
    from trimalloc.diagnosis.preloadable import obstacle
    from trimalloc.launch import executable_on_path

    if not command:
        raise ValueError("there is no command after `--`")
    path = executable_on_path(command[0], os.environ)
    if path is None:
        raise ValueError(f"{command[0]}: command not found")
    reason = obstacle(path)
    if reason is not None:
        raise ValueError(f"{path} {reason}")
    return [path, *command[1:]]


def _python_of(path: str) -> str | None:
    """Return the Python that is, or runs, the program at ``path``; None for other programs."""
    from pathlib import Path

    from trimalloc.diagnosis.preloadable import script_interpreter

    program = script_interpreter(path) or path
    return program if Path(program).name.startswith("python") else None


def _json(diagnosis: Diagnosis, facts: list[Fact]) -> str:
    import json
    from dataclasses import asdict

    return json.dumps({**asdict(diagnosis), "host": [asdict(fact) for fact in facts]}, indent=2)


def _text(diagnosis: Diagnosis, facts: list[Fact]) -> str:
    mode = f", mode {diagnosis.mode}" if diagnosis.mode else ""
    lines = [f"{diagnosis.subject}: trimalloc is {_VERDICTS[diagnosis.verdict]}{mode}"]
    lines += [f"  {sentence}" for sentence in diagnosis.evidence]
    if diagnosis.escapes:
        lines.append("allocators that it does not reach")
        lines += [f"  {one.path}: {one.allocator}; {one.remedy}" for one in diagnosis.escapes]
    lines.append("this machine")
    for fact in facts:
        note = f"  ({fact.note})" if fact.note else ""
        lines.append(f"  {fact.name:<27}{fact.value}{note}")
    return "\n".join(lines)


_VERDICTS = {
    "in use": "in use",
    "not in use": "NOT in use",
    "unknown": "perhaps in use: there was no proof",
}
