"""Checks, in the running process, that the allocator named is the one in use.

A preload that fails is only a line on stderr from the dynamic linker, and the program goes on
with libc's malloc: without this check a table would compare glibc with itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from trimalloc.comparison import process_tree
from trimalloc.comparison.allocators import Allocator, is_allocator

# The dynamic linker maps what is preloaded before the program's own libraries: once libc is there,
# the preload is there or has failed.
_LIBC = re.compile(r"/(libc\.so\.6|libc-[\d.]+\.so|ld-musl-.*|libc\.musl-.*)$")


class NotInUseError(Exception):
    """The allocator is not the one that the process uses; the text says why."""


def prove(allocator: Allocator, pid: int) -> str | None:
    """What proves that `pid` runs on `allocator`; None while it is too early to tell.

    Raises NotInUseError when it does not.
    """
    mapped = process_tree.mapped_files_of(pid)
    if not any(_LIBC.search(file) for file in mapped):
        return None
    own = str(allocator.library) if allocator.library else None
    if own is not None and own not in mapped:
        raise NotInUseError(f"{own} is not in the process's maps: the preload had no effect")
    others = sorted(file for file in mapped if is_allocator(file) and file != own)
    if others:
        raise NotInUseError(f"{others[0]} is in the process's maps")
    environment = process_tree.environment_of(pid)
    for name, value in allocator.variables.items():
        if environment.get(name) != value:
            raise NotInUseError(f"{name}={value} is not in the process's environment")
    settings = [f"{name}={value}" for name, value in allocator.variables.items()]
    return ", ".join(settings + ([f"{own} mapped"] if own else ["no other allocator mapped"]))


def unproven(command: Sequence[str]) -> str:
    """Why a run that ended without a proof does not count."""
    return (
        f"no proof of the allocator: {Path(command[0]).name} ended too soon, or is linked "
        "statically, which no preload can reach"
    )
