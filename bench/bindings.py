"""Which library a program's calls of malloc reach, asked of the loader.

A program that is no part of the benchmark can't be asked. A mapped library proves little: a program
may bring a malloc of its own, or be linked to another allocator, as Debian's redis-server is. So
the loader is told to bind everything and to say what it bound to what, and not to start the
program: LD_TRACE_LOADED_OBJECTS and LD_WARN, as `ldd -r` does it, with LD_DEBUG=bindings.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.allocators import Allocator

_BINDING = re.compile(r"binding file \S+ \[\d+\] to (\S+) \[\d+\]: normal symbol `malloc'")

STATIC = "a statically linked malloc"


def malloc_library(program: Path, environment: Mapping[str, str]) -> str:
    """The file that serves malloc to a program and to all its libraries; several, with commas."""
    return _malloc_library(program, tuple(sorted(environment.items())))


@functools.cache
def _malloc_library(program: Path, environment: tuple[tuple[str, str], ...]) -> str:
    asking = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes"}
    asking |= {"LD_BIND_NOW": "1", "LD_DEBUG": "bindings"}
    done = subprocess.run(
        [str(program)],
        env=dict(environment) | asking,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    found = set(_BINDING.findall(done.stderr))
    return ", ".join(sorted(found)) if found else STATIC


def over_linked_allocator(allocator: Allocator, program: Path) -> Allocator:
    """The allocator as it is switched on for this program.

    "glibc" means no preload; where the program is linked to another allocator, libc itself is
    preloaded, which puts its malloc in front.
    """
    if allocator.library is not None:
        return allocator
    linked = malloc_library(program, allocator.environment(os.environ))
    if linked == STATIC or Path(linked).name.startswith("libc."):
        return allocator
    return replace(allocator, library=libc())


@functools.cache
def libc() -> Path:
    """The C library of this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = Path(line.split(maxsplit=5)[-1])
        if path.name.startswith(("libc.so", "libc-2")):
            return path.resolve()
    raise FileNotFoundError("this interpreter is not linked to a libc.so of its own")
