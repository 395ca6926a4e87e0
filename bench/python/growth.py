"""Containers that grow step by step: list, bytearray, BytesIO, str, dict; large and many small."""

from __future__ import annotations

import io

from bench.python.harness import Report, main

LARGE_ITEMS = 4_000_000
LARGE_BYTES = 64 << 20
ROUNDS = 6
SMALL_CONTAINERS = 3000


def grow_list(items: int) -> list[None]:
    """Appends one by one; the items themselves allocate nothing."""
    grown: list[None] = []
    append = grown.append
    for _ in range(items):
        append(None)
    return grown


def grow_bytearray(size: int, step: int) -> bytearray:
    """Adds pieces at the end."""
    grown, piece = bytearray(), b"x" * step
    while len(grown) < size:
        grown += piece
    return grown


def grow_bytesio(size: int, step: int) -> io.BytesIO:
    """Writes pieces at the end."""
    grown, piece = io.BytesIO(), b"x" * step
    for _ in range(size // step):
        grown.write(piece)
    return grown


def grow_str(size: int, step: int) -> str:
    """Adds pieces to a local string, which CPython resizes in place where it can."""
    grown, piece = "", "x" * step
    for _ in range(size // step):
        grown += piece
    return grown


def workload(_: Report) -> None:
    """Each kind large, alone and beside another that grows; then many small ones in turns."""
    for _round in range(ROUNDS):
        large = [grow_list(LARGE_ITEMS)]
        kept = (
            grow_bytearray(LARGE_BYTES, 4000),
            grow_bytesio(LARGE_BYTES, 4000),
            grow_str(8 << 20, 40),
        )
        assert len(kept[0]) >= LARGE_BYTES
        del large, kept
    lists: list[list[int]] = [[] for _ in range(SMALL_CONTAINERS)]
    mappings: list[dict[int, int]] = [{} for _ in range(SMALL_CONTAINERS)]
    for number in range(400):
        for grown, mapping in zip(lists, mappings):  # noqa: B905 (strict= would be measured too)
            grown.append(number)
            mapping[number] = number


if __name__ == "__main__":
    main(workload)
