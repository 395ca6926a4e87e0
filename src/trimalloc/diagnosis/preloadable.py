"""Programs that no preload library can reach, and why: the loader would say nothing, or fail."""

from __future__ import annotations

import os
import stat

from trimalloc.diagnosis.elf import MACHINES, ElfFile, NotElfError
from trimalloc.launch import executable_on_path

_MAX_SCRIPT_DEPTH = 4  # scripts whose interpreter is a script; the kernel's own bound


def obstacle(path: str, depth: int = 0) -> str | None:
    """Return why ``path`` cannot be preloaded, as the rest of a sentence about it; or None."""
    try:
        # A script's own setuid bit counts for nothing: its interpreter is what is executed.
        words = _first_line_words(path)
        if words is not None:
            return _interpreter_obstacle(words, depth)
        return _privilege_obstacle(path) or _format_obstacle(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def script_interpreter(path: str) -> str | None:
    """Return the program that runs the script at ``path``; None when it is no script, or not there.

    `#!/usr/bin/env NAME` is looked up as env would.
    """
    words = _first_line_words(path)
    return _program_of(words) if words else None


def _first_line_words(path: str) -> list[str] | None:
    with open(path, "rb") as file:  # noqa: PTH123 (no pathlib here)
        first_line = file.read(256).partition(b"\n")[0]
    if not first_line.startswith(b"#!"):
        return None
    return os.fsdecode(first_line[2:]).split()


def _interpreter_obstacle(words: list[str], depth: int) -> str | None:
    if not words or depth >= _MAX_SCRIPT_DEPTH:
        return "has a first line that names no interpreter"
    program = _program_of(words)
    if program is None:
        return f"needs an interpreter that is not there: {' '.join(words)}"
    reason = obstacle(program, depth + 1)
    return None if reason is None else f"is run by {program}, which {reason}"


def _program_of(words: list[str]) -> str | None:
    name = words[0]
    if name.endswith("/env"):
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        name = names[0] if names else ""
    return executable_on_path(name, os.environ)


def _privilege_obstacle(path: str) -> str | None:
    status = os.stat(path)  # noqa: PTH116
    changes_user = status.st_mode & stat.S_ISUID and status.st_uid != os.getuid()
    changes_group = status.st_mode & stat.S_ISGID and status.st_gid != os.getgid()
    if changes_user or changes_group:
        return "is setuid or setgid: the loader ignores LD_PRELOAD for it"
    if os.getuid() != 0 and "security.capability" in os.listxattr(path):
        return "has file capabilities: the loader ignores LD_PRELOAD for it"
    return None


def _format_obstacle(path: str) -> str | None:
    try:
        with ElfFile(path) as program:
            machine, interpreter = program.machine, program.interpreter
    except NotElfError as error:
        return str(error)
    if MACHINES.get(machine, "").replace("-", "_") != os.uname().machine:
        return f"is built for another processor ({MACHINES.get(machine, f'machine {machine}')})"
    if not interpreter:
        return "is statically linked: its malloc is inside it, out of reach of LD_PRELOAD"
    if "ld-musl" in interpreter:
        return "is linked with musl; trimalloc's library is built for glibc"
    return None
