"""Libraries that bring an allocator of their own, which a replaced malloc does not reach."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# What each allocator prints in its own messages: it stays in a file whose symbols are stripped.
_MARKS = {
    "jemalloc": (b"<jemalloc>: ",),
    "mimalloc": (b"mimalloc: ", b"_mi_heap_main"),
    "tcmalloc": (b"TCMALLOC_", b"tcmalloc: "),
    "rpmalloc": (b"rpmalloc_",),
    "snmalloc": (b"snmalloc",),
}

# The setting that sends a library's memory through malloc, or what else can be done, by a part of
# the file's name.
_REMEDIES = {
    "libarrow": "set ARROW_DEFAULT_MEMORY_POOL=system, which sends it through malloc",
    "polars": (
        "no setting sends it through malloc; _RJEM_MALLOC_CONF=dirty_decay_ms:500,"
        "muzzy_decay_ms:500 makes it give memory back"
    ),
    "python": "used for objects only with PYTHONMALLOC=mimalloc and in free-threaded builds",
    "duckdb": "no setting sends it through malloc; SET memory_limit bounds it",
}
_NO_REMEDY = "no setting known that sends it through malloc"


@dataclass(frozen=True)
class Escape:
    """A library with an allocator of its own."""

    path: str
    allocator: str
    remedy: str


def find_escapes(paths: Iterable[str]) -> list[Escape]:
    """Return those of the mapped files that bring an allocator of their own."""
    found = []
    for path in sorted(set(paths)):
        name = Path(path).name
        allocators = _embedded_allocators(path)
        if allocators:
            remedies = [text for part, text in _REMEDIES.items() if part in name]
            remedy = remedies[0] if remedies else _NO_REMEDY
            found.append(Escape(path, " and ".join(allocators), remedy))
    return found


def _embedded_allocators(path: str) -> list[str]:
    try:
        with Path(path).open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # gone, or empty
        return []
    with content:
        return [
            allocator
            for allocator, marks in _MARKS.items()
            if any(content.find(mark) >= 0 for mark in marks)
        ]
