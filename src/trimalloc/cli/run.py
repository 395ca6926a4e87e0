"""``trimalloc run``: sets the environment and becomes the program.

Nothing of trimalloc's Python code stays: exit status, signals, standard streams and process id are
the program's own. Exit statuses of ours, before there is a program, are those of env(1): 125 when
trimalloc itself fails, 126 when the program cannot be run on it, 127 when there is no such program;
and 2 for a mistake in the command line.
"""

from __future__ import annotations

import os
import sys

from trimalloc import launch
from trimalloc.cli import engine_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import NoReturn

HELP = "run a program on trimalloc"

_USAGE = "trimalloc run [OPTION...] (SCRIPT | -m MODULE | -c CODE | -- COMMAND) [ARG...]"
_EPILOG = """\
SCRIPT, -m and -c run on the Python that runs trimalloc; -- COMMAND runs any program, a Python of
another environment among them. LD_PRELOAD keeps what it has. Where PYTHONMALLOC is set, or CPython
is free-threaded, the mode is malloc: objects stay where they are.

Exit status: the program's own. Before it starts: 2 for a mistake in the command line, 125 when
trimalloc is not installed right, 126 for a program that cannot be preloaded (setuid, static, musl,
another architecture), 127 for a program that does not exist.
"""


class _RefusedError(Exception):
    """What cannot be run, and the exit status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line, for its help; ``start`` reads the words itself."""
    import argparse

    parser.usage = _USAGE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    engine_options.add_options(parser)


def start(words: list[str]) -> int:
    """Become the program that ``words`` name; return an exit status only when that failed."""
    try:
        _execute(words)
    except _RefusedError as refusal:
        print(f"trimalloc run: {refusal}", file=sys.stderr)
        return refusal.status


def _execute(words: list[str]) -> NoReturn:
    try:
        settings, program = engine_options.read_options(words)
    except ValueError as error:
        raise _RefusedError(2, str(error)) from None
    path, arguments = _resolve(program)
    settings = launch.with_mode(settings, os.environ, same_python=path == sys.executable)
    try:
        from trimalloc.location import library_for

        library = library_for(os.environ, settings)
        environment = launch.preload_environment(os.environ, library, settings)
    except (ValueError, FileNotFoundError) as error:
        raise _RefusedError(125, str(error)) from None
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(path, arguments, environment)
    except OSError as error:
        raise _RefusedError(126, f"{path}: {error.strerror}") from None


def _resolve(program: list[str]) -> tuple[str, list[str]]:
    """Return the file to execute and its arguments, the program's name included."""
    first = program[0] if program else ""
    if first == "--":
        return _command(program[1:])
    if first in {"-m", "-c"}:
        if len(program) == 1:
            raise _RefusedError(2, f"{first} needs {'a module' if first == '-m' else 'code'}")
    elif not first:
        raise _RefusedError(2, f"what is to be run? {_USAGE}")
    elif first.startswith("-"):
        raise _RefusedError(2, f"there is no option {first}; see `trimalloc run --help`")
    elif not os.path.exists(first):  # noqa: PTH110 (no pathlib here)
        raise _RefusedError(
            127, f"there is no script {first!r}; a command of another kind goes after `--`"
        )
    if not sys.executable:
        raise _RefusedError(125, "Python does not know its own path: use `-- python ...`")
    return sys.executable, [sys.executable, *_interpreter_options(), *program]


def _command(command: list[str]) -> tuple[str, list[str]]:
    if not command:
        raise _RefusedError(2, "there is no command after `--`")
    path = launch.executable_on_path(command[0], os.environ)
    if path is None:
        raise _RefusedError(127, f"{command[0]}: command not found")
    from trimalloc.diagnosis.preloadable import obstacle

    reason = obstacle(path)
    if reason is not None:
        raise _RefusedError(126, f"{path} {reason}")
    return path, command


def _interpreter_options() -> list[str]:
    """Return the options of `python OPTIONS -m trimalloc run`: the program gets the same Python."""
    before = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    return before[:-2] if before[-2:] == ["-m", "trimalloc"] else []
