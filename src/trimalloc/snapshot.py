"""Snapshots of an engine: where the memory is, tier by tier and class by class."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, fields

from trimalloc import _native


@dataclass(frozen=True)
class ClassStats:
    """One size class: its geometry, and where its objects are. Counts are objects, not bytes.

    ``requested_bytes`` and ``requested_count`` sample the requests that left the thread cache.
    ``refills``, ``flushes`` and ``span_fetches`` count since the start.
    """

    index: int
    object_bytes: int
    span_pages: int
    span_objects: int
    batch_objects: int
    spans: int
    in_use: int
    thread_cached: int
    transfer_cached: int
    central_free: int
    requested_bytes: int
    requested_count: int
    refills: int
    flushes: int
    span_fetches: int

    @property
    def in_use_bytes(self) -> int:
        """Bytes of the objects that the program holds, rounded sizes."""
        return self.in_use * self.object_bytes

    @property
    def free_bytes(self) -> int:
        """Bytes of the class's free objects in all caches and spans."""
        free = self.thread_cached + self.transfer_cached + self.central_free
        return free * self.object_bytes

    @property
    def fragmentation_estimate(self) -> int:
        """Bytes that rounding up costs: objects in use, times the mean loss of the sampled ones."""
        if self.requested_count == 0:
            return 0
        lost = self.object_bytes - self.requested_bytes / self.requested_count
        return round(self.in_use * max(lost, 0.0))


@dataclass(frozen=True)
class Stats:
    """Where an engine's memory is. Bytes, unless the name says otherwise.

    Every byte of ``committed`` is in exactly one of ``small_in_use``, ``large_in_use``,
    ``thread_cached``, ``transfer_cached``, ``central_free``, ``span_tail``,
    ``page_heap_resident`` and ``page_heap_released``; ``span_holes`` is the part of
    ``central_free`` and ``span_tail`` that has been given back page by page. ``limit`` and
    ``soft_limit`` are 0 when there is none. ``str()`` gives the table of the tiers, ``to_dict()``
    plain values for JSON.
    """

    pid: int
    reserved: int
    committed: int
    small_in_use: int
    large_in_use: int
    large_requested: int
    large_objects: int
    thread_cached: int
    transfer_cached: int
    central_free: int
    span_tail: int
    span_holes: int
    page_heap_resident: int
    page_heap_released: int
    metadata: int
    thread_caches: int
    limit: int
    soft_limit: int
    peak_resident: int
    commits: int
    releases: int
    released_bytes: int
    large_allocations: int
    large_frees: int
    remapped_bytes: int
    idle_drains: int
    pressure_events: int
    limit_failures: int
    scavenger_running: bool
    caches_by_processor: bool
    huge_pages: int
    classes: tuple[ClassStats, ...]

    @property
    def in_use(self) -> int:
        """Bytes that the program holds, in rounded sizes."""
        return self.small_in_use + self.large_in_use

    @property
    def cached(self) -> int:
        """Bytes of free objects in the thread caches, the transfer cache and the central lists."""
        return self.thread_cached + self.transfer_cached + self.central_free

    @property
    def internal_fragmentation_estimate(self) -> int:
        """Bytes of ``in_use`` beyond what was asked for.

        Exact for large objects; for small ones estimated from the requests sampled in each class.
        """
        small = sum(size_class.fragmentation_estimate for size_class in self.classes)
        return small + self.large_in_use - self.large_requested

    @property
    def resident_estimate(self) -> int:
        """Bytes that should be resident: all that is committed and not released, and metadata.

        An upper bound on what the operating system counts: pages that the program asked for and has
        not touched yet have no memory behind them. ``explain()`` compares the two.
        """
        given_back = self.page_heap_released + self.span_holes
        return self.committed - given_back + self.metadata

    def to_dict(self) -> dict[str, object]:
        """Return the fields and derived values as plain numbers, lists and dictionaries."""
        return {
            **asdict(self),
            "in_use": self.in_use,
            "cached": self.cached,
            "internal_fragmentation_estimate": self.internal_fragmentation_estimate,
            "resident_estimate": self.resident_estimate,
        }

    def __str__(self) -> str:
        """Return the table of the tiers."""
        from trimalloc.tier_table import render  # noqa: PLC0415 (only a printed snapshot needs it)

        return render(self)


def stats(pid: int | None = None) -> Stats:
    """Return a snapshot of this process, or of another one of the same user without stopping it.

    Raises ProcessLookupError, PermissionError, or FileNotFoundError where the other process runs
    without trimalloc.
    """
    if pid is None:
        return _from_counters(os.getpid(), _native.stats())
    try:
        return _from_counters(pid, _native.stats_of(pid))
    except OSError as error:
        raise type(error)(error.errno, _REASONS.get(type(error), str(error)).format(pid)) from None


_REASONS = {
    ProcessLookupError: "there is no process {}",
    PermissionError: (
        "process {} may not be read: it belongs to another user, or kernel.yama.ptrace_scope "
        "forbids it; run as that user, or as root"
    ),
    FileNotFoundError: "process {} runs without trimalloc: start it with `trimalloc run`",
}


def _from_counters(pid: int, counters: _native.Counters) -> Stats:
    values: dict[str, int] = {
        field.name: counters[field.name]  # type: ignore[literal-required]
        for field in fields(Stats)
        if field.name not in {"pid", "classes", "scavenger_running", "caches_by_processor"}
    }
    return Stats(
        pid=pid,
        scavenger_running=bool(counters["scavenger_running"]),
        caches_by_processor=bool(counters["caches_by_processor"]),
        classes=tuple(
            ClassStats(index=index, **entry) for index, entry in enumerate(counters["classes"])
        ),
        **values,
    )
