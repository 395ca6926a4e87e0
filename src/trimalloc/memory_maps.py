"""The mappings of a process, as Linux lists them in /proc/PID/maps and /proc/PID/smaps."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Mapping:
    """One mapping. ``path`` is empty for anonymous memory.

    ``maps`` does not tell the sizes, nor whether the mapping was made without reserving memory.
    """

    start: int
    end: int
    permissions: str
    offset: int
    path: str
    rss_bytes: int = 0
    swap_bytes: int = 0
    no_reserve: bool = False

    @property
    def is_file(self) -> bool:
        """Whether the mapping shows a file."""
        return self.path.startswith("/")


def read_maps(pid: int | str = "self") -> list[Mapping]:
    """Return the mappings of a process in ascending order, without sizes."""
    return parse(Path(f"/proc/{pid}/maps").read_bytes())


def read_smaps(pid: int | str = "self") -> list[Mapping]:
    """Return the mappings of a process in ascending order, with what is resident of each."""
    return parse(Path(f"/proc/{pid}/smaps").read_bytes())


def parse(content: bytes) -> list[Mapping]:
    """Return the mappings that the content of one of the two files lists."""
    mappings: list[Mapping] = []
    # A path may hold any byte but newline.
    for line in os.fsdecode(content).splitlines():
        first, _, rest = line.partition(" ")
        if first == "Rss:":
            mappings[-1].rss_bytes = _kilobytes(rest)
        elif first == "Swap:":
            mappings[-1].swap_bytes = _kilobytes(rest)
        elif first == "VmFlags:":
            mappings[-1].no_reserve = "nr" in rest.split()
        elif not first.endswith(":"):
            mappings.append(_mapping(first, rest))
    return mappings


def _kilobytes(text: str) -> int:
    return int(text.split(maxsplit=1)[0]) * 1024


def _mapping(addresses: str, rest: str) -> Mapping:
    start, _, end = addresses.partition("-")
    permissions, offset, _device, _inode, *path = rest.split(maxsplit=4)
    return Mapping(int(start, 16), int(end, 16), permissions, int(offset, 16), "".join(path))
