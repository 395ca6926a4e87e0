"""What a collected heap says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HeapStats:
    """Where a heap's memory is and what its collector has done. Asking stops nothing."""

    saved_bytes: int
    """Pages of the file that the heap was opened with: permanent, and shared until written."""
    heap_bytes: int
    """In records: what the last collection left, and what was allocated since."""
    goal_bytes: int
    """At this size the next collection is to have ended."""
    allocated_bytes: int
    """Ever."""
    span_bytes: int
    """Pages that hold records, free slots included."""
    batch_bytes: int
    """Pages of batches, and of what is kept of weak references and of reclaimed records."""
    free_resident_bytes: int
    free_released_bytes: int
    metadata_bytes: int
    peak_resident_bytes: int
    cycles: int
    """Collections that have ended."""
    marked_records: int
    """Records with references that the last one scanned."""
    mark_ns: int
    sweep_ns: int
    longest_stop_ns: int
    """How long a thread that calls into the heap may have had to wait for the collector."""
    total_stop_ns: int
    median_stop_ns: int
    """Of all such times so far, as is the next one; at most an eighth too long."""
    p99_stop_ns: int
    limit_bytes: int
    processors: int
    markers: int
    """Threads that marked in the last one, at most."""
