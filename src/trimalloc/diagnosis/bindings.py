"""Whose malloc each library of a process calls.

Every ELF file has a slot for the address of each function that it takes from another file. In a
live process the slots are read through /proc/PID/mem; while a command starts, the dynamic loader
tells what it puts into them (LD_DEBUG=bindings).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from trimalloc.diagnosis.elf import ElfFile, NotElfError
from trimalloc.memory_maps import Mapping, read_maps

_SLOT_BYTES = 8
_BINDING = re.compile(r"binding file (\S.*?) \[\d+\] to (\S.*?) \[\d+\]: normal symbol `malloc'")


def bindings_of(pid: int) -> dict[str, str]:
    """Return, for each file mapped in a process that calls malloc, the file whose malloc it gets.

    Files that have not called it yet may be missing. Raises PermissionError where the process's
    memory may not be read.
    """
    mappings = read_maps(pid)
    starts = [mapping.start for mapping in mappings]
    found: dict[str, str] = {}
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for path, start in _loaded_files(mappings).items():
            for slot in _malloc_slots(path, start):
                memory.seek(slot)
                target = int.from_bytes(memory.read(_SLOT_BYTES), "little")
                index = bisect_right(starts, target) - 1
                if index < 0 or target >= mappings[index].end:
                    continue
                provider = mappings[index].path
                # A slot that points into its own file is one that was not called yet.
                if provider != path:
                    found[path] = provider
    return found


def _loaded_files(mappings: Iterable[Mapping]) -> dict[str, int]:
    """Return where each file that has code in the process begins."""
    starts: dict[str, int] = {}
    with_code: set[str] = set()
    for mapping in mappings:
        if mapping.is_file:
            if mapping.offset == 0:
                starts.setdefault(mapping.path, mapping.start)
            if "x" in mapping.permissions:
                with_code.add(mapping.path)
    return {path: start for path, start in starts.items() if path in with_code}


def _malloc_slots(path: str, start: int) -> list[int]:
    try:
        with ElfFile(path) as file:
            # The first segment begins on a page of its own; its address is 0 or the linked one.
            moved_by = start - (file.first_address & ~0xFFF)
            return [slot + moved_by for slot in file.references("malloc")]
    except (NotElfError, OSError):  # not a library, or replaced since it was loaded
        return []


def bindings_in_log(lines: Iterable[str]) -> dict[str, str]:
    """Return the same from what the loader wrote under LD_DEBUG=bindings."""
    matches = (_BINDING.search(line) for line in lines)
    return {match[1]: match[2] for match in matches if match}
