"""What the command line means: the arguments to execute, and the Python behind them, if any."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trimalloc.diagnosis.preloadable import obstacle

_PYTHON_NAME = re.compile(r"python(\d+(\.\d+)?t?)?$")
_QUESTION = (
    "import platform, sysconfig;"
    "print(platform.python_implementation(), platform.python_version(),"
    " bool(sysconfig.get_config_var('WITH_MIMALLOC')),"
    " bool(sysconfig.get_config_var('Py_GIL_DISABLED')))"
)


@dataclass(frozen=True)
class Interpreter:
    """The CPython that runs the command."""

    path: str
    version: str
    has_mimalloc: bool
    free_threaded: bool = False


def resolve(words: Sequence[str]) -> list[str]:
    """The command to execute: ``python`` and a bare ``script.py`` mean the Python we run on.

    Raises ValueError, with a sentence for the user, for what can't be compared.
    """
    if not words:
        raise ValueError("what is to be run? trimalloc compare [OPTION...] -- COMMAND [ARG...]")
    first, rest = words[0], list(words[1:])
    if first == "python":
        return [sys.executable, *rest]
    if first.endswith(".py") and Path(first).is_file():
        return [sys.executable, first, *rest]
    program = shutil.which(first)
    if program is None:
        raise ValueError(f"{first}: command not found")
    reason = obstacle(program)
    if reason is not None:
        raise ValueError(f"{program} {reason}")
    return [first, *rest]


def interpreter_of(command: Sequence[str]) -> Interpreter | None:
    """The Python that `command` starts, directly or by its first line; None when it is another
    program."""
    program = shutil.which(command[0])
    if program is None:
        return None
    path = program if _PYTHON_NAME.match(Path(program).name) else _from_first_line(program)
    if path is None:
        return None
    answer = subprocess.run(
        [path, "-c", _QUESTION], capture_output=True, text=True, timeout=60, check=False
    )
    words = answer.stdout.split()
    if len(words) != 4 or words[0] != "CPython":
        return None
    return Interpreter(path, words[1], words[2] == "True", words[3] == "True")


def _from_first_line(program: str) -> str | None:
    """The interpreter in a script's ``#!`` line, when it is a Python."""
    with Path(program).open("rb") as script:
        line = script.readline(512)
    if not line.startswith(b"#!"):
        return None
    words = line[2:].decode(errors="replace").split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-")]
    if not words or not _PYTHON_NAME.match(Path(words[0]).name):
        return None
    return shutil.which(words[0])
