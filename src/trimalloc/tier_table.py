"""A snapshot as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimalloc.sizes import format_size

if TYPE_CHECKING:
    from trimalloc.snapshot import Stats

_NAME_WIDTH = 30
_SIZE_WIDTH = 11


def render(stats: Stats) -> str:
    """Return the tiers from the program down to the operating system, a line each."""
    resident = stats.resident_estimate
    lines = [f"trimalloc in process {stats.pid}: {format_size(resident)} resident, of it"]
    lines += [
        _row(name, size, resident, note) for name, size, note in _resident_rows(stats) if size
    ]
    lines.append("not resident")
    lines.append(_row("free pages, given back", stats.page_heap_released))
    lines.append(_row("the same inside spans in use", stats.span_holes))
    lines.append(_row("address range reserved", stats.reserved))
    lines.append("since the start")
    lines.append(_row("peak of the arena", stats.peak_resident))
    lines.append(
        _row("given back", stats.released_bytes, note=f"in {_count(stats.releases, 'call')}")
    )
    if stats.limit:
        lines.append(_row("limit", stats.limit, note=_limit_note(stats)))
    return "\n".join(lines)


def _resident_rows(stats: Stats) -> list[tuple[str, int, str]]:
    loose = stats.central_free + stats.span_tail - stats.span_holes
    return [
        ("small objects in use", stats.small_in_use, ""),
        ("large objects in use", stats.large_in_use, _count(stats.large_objects, "object")),
        ("  rounding up, in both", stats.internal_fragmentation_estimate, "estimated"),
        (
            f"{_owner(stats)} caches",
            stats.thread_cached,
            _count(stats.thread_caches, _owner(stats)),
        ),
        ("transfer cache", stats.transfer_cached, ""),
        ("central lists", loose, "free in spans, and tails"),
        ("free pages", stats.page_heap_resident, "not given back yet"),
        ("metadata", stats.metadata, ""),
    ]


def _row(name: str, size: int, whole: int = 0, note: str = "") -> str:
    share = f"{size / whole:7.1%}" if whole else " " * 7
    line = f"  {name:<{_NAME_WIDTH}}{format_size(size):>{_SIZE_WIDTH}} {share}  {note}"
    return line.rstrip()


def _owner(stats: Stats) -> str:
    return "processor" if stats.caches_by_processor else "thread"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _limit_note(stats: Stats) -> str:
    return (
        f"soft {format_size(stats.soft_limit)}, met {_count(stats.pressure_events, 'time')}; "
        f"{stats.limit_failures} refused"
    )
