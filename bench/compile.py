"""Compiles the benchmark's own C programs into build/bench, when their sources are newer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.allocators import ROOT
from bench.child import SkippedError

BINARIES = ROOT / "build" / "bench"


def compile_c(name: str, sources: Sequence[Path], flags: Sequence[str] = ()) -> Path:
    """The program `name`, made of the sources; headers beside them count as sources, too.

    `flags` come last: libraries, and where headers are.
    """
    binary = BINARIES / name
    headers = (path for source in sources for path in source.parent.glob("*.h"))
    newest = max(path.stat().st_mtime for path in (*sources, *headers))
    if binary.exists() and binary.stat().st_mtime > newest:
        return binary
    binary.parent.mkdir(parents=True, exist_ok=True)
    # A compiler that knows what malloc and free do leaves out pairs that nobody looks at.
    unknown = [f"-fno-builtin-{name}" for name in ("malloc", "calloc", "realloc", "free")]
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-g", "-Wall", *unknown, "-pthread"]
    unfinished = binary.with_suffix(f".{os.getpid()}")
    try:
        words = [*command, *map(str, sources), "-o", str(unfinished), "-ldl", *flags]
        subprocess.run(words, check=True)
    except FileNotFoundError:
        raise SkippedError(f"{command[0]} is not installed: apt install gcc") from None
    return unfinished.replace(binary)
