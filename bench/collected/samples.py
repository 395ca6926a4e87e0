"""What samples and `tracemalloc` cost a heap: the same work at several distances, interleaved.

    python -m bench.collected.samples

    one ns      a record {int64, reference}, made and dropped by Python
    batch ns    one of a batch of 100,000, made and dropped
    free ns     one of a region of 10,000: made and freed by hand, less what making takes
    sample us   what one sample adds, from the times of "one" at 4 KiB and without samples

Medians of rounds; a collection after each work is not counted.
"""

from __future__ import annotations

import statistics
import time
import tracemalloc

from bench.python.harness import require

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

trimalloc = require("trimalloc")

ROUNDS = 15
ONE = 50_000
BATCH = 100_000
REGION = 10_000
DISTANCES = ("0", "512KiB", "4KiB")


class Subject:
    """A heap that samples at a distance."""

    def __init__(self, distance: str) -> None:
        self.heap: Any = trimalloc.Heap(sample_bytes=distance)
        fields = {"__annotations__": {"id": trimalloc.int64, "next": "Node | None"}}
        self.node: Any = self.heap.record(type("Node", (), fields))

    def one(self) -> None:
        """Make records one by one."""
        node = self.node
        for _ in range(ONE):
            node()

    def batch(self) -> None:
        """Make many at once."""
        self.node.batch(BATCH)

    def region(self) -> None:
        """Make some and free them by hand."""
        node = self.node
        with self.heap.region():
            for _ in range(REGION):
                node()


def nanoseconds(subject: Subject, work: Callable[[], None], count: int) -> float:
    """How long one of `count` takes."""
    start = time.perf_counter_ns()
    work()
    taken = time.perf_counter_ns() - start
    subject.heap.collect()
    return taken / count


def measure(name: str, subject: Subject, times: dict[tuple[str, str], list[float]]) -> None:
    """One round of one subject."""
    for what, work, count in (
        ("one", subject.one, ONE),
        ("batch", subject.batch, BATCH),
        ("region", subject.region, REGION),
    ):
        times.setdefault((name, what), []).append(nanoseconds(subject, work, count))


def main() -> None:
    """Print a line for each distance, and one with tracemalloc."""
    subjects = {distance: Subject(distance) for distance in DISTANCES}
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for distance, subject in subjects.items():
            measure(distance, subject, times)
        tracemalloc.start()
        measure("0, tracemalloc", subjects["0"], times)
        tracemalloc.stop()
    median = {key: statistics.median(values) for key, values in times.items()}
    print(f"{'sample_bytes':16} {'one ns':>8} {'batch ns':>9} {'free ns':>8}")
    for name in (*DISTANCES, "0, tracemalloc"):
        one, batch = median[name, "one"], median[name, "batch"]
        print(f"{name:16} {one:8.1f} {batch:9.2f} {median[name, 'region'] - one:8.1f}")
    per_sample = 4096 / 16  # records
    added = (median["4KiB", "one"] - median["0", "one"]) * per_sample / 1000
    print(f"sample us {added:.1f}")


if __name__ == "__main__":
    main()
