"""How much of this process's memory on trimalloc a snapshot explains, by the kernel's own count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trimalloc import _native
from trimalloc.memory_maps import Mapping, parse
from trimalloc.sizes import format_size
from trimalloc.snapshot import Stats, stats

# The tables lie below the pages and have at most this share of their address range: about 265 bytes
# for each page of 8 KiB. Only where to look; nothing is counted from it.
_TABLES_SHARE = 1 / 16
# What smaps calls our mappings, on kernels without and with names for anonymous memory.
_OUR_NAMES = ("", "[anon:trimalloc]")


@dataclass(frozen=True)
class Explanation:
    """A snapshot beside what /proc/self/smaps counts for trimalloc's mappings at the same moment.

    Bound: in a process at rest ``explained_share`` is at least 0.98. The remainder is what changed
    between the two readings, and pages of the tables, which the snapshot counts by the byte.
    """

    snapshot: Stats
    measured: int

    @property
    def explained_share(self) -> float:
        """Share of the measured bytes that the snapshot names; at most 1."""
        return min(self.snapshot.resident_estimate / self.measured, 1.0) if self.measured else 1.0

    @property
    def untouched(self) -> int:
        """Bytes that the program was given and has not touched: counted here, not resident."""
        return max(self.snapshot.resident_estimate - self.measured, 0)

    def __str__(self) -> str:
        """Return one line with the share and the sizes."""
        return (
            f"{self.explained_share:.1%} of {format_size(self.measured)} in trimalloc's mappings "
            f"explained; {format_size(self.untouched)} handed out and not touched yet"
        )


def explain() -> Explanation:
    """Compare a snapshot of this process with its mappings."""
    # Nothing between the two readings: what parsing allocates would be in one of them only.
    smaps = Path("/proc/self/smaps").read_bytes()
    snapshot = stats()
    mappings = _engine_mappings(parse(smaps), snapshot.reserved)
    measured = sum(mapping.rss_bytes + mapping.swap_bytes for mapping in mappings)
    return Explanation(snapshot, measured)


def _engine_mappings(mappings: list[Mapping], reserved: int) -> list[Mapping]:
    """Return the mappings of the engine's address range: those of the pages, and tables below."""
    owned = [
        index
        for index, mapping in enumerate(mappings)
        if _native.owns(mapping.start) or _native.owns(mapping.end - 1)
    ]
    if not owned:
        return []
    # One reserved range has no holes. Where nothing may be reserved (RLIMIT_AS), each table has a
    # mapping of its own, with holes between them, in a part of the address space without others.
    holes = all(mappings[index].permissions[0] == "r" for index in owned)
    lowest = mappings[owned[0]].start - int(reserved * _TABLES_SHARE)
    first = owned[0]
    while first > 0 and _is_table(mappings[first - 1], mappings[first], lowest, holes):
        first -= 1
    return mappings[first : owned[-1] + 1]


def _is_table(candidate: Mapping, above: Mapping, lowest: int, holes: bool) -> bool:
    if candidate.path not in _OUR_NAMES or candidate.end <= lowest:
        return False
    # What others map next to the range, they rarely map like it: pymalloc's arenas reserve memory.
    if candidate.no_reserve != above.no_reserve:
        return False
    return holes or candidate.end == above.start
