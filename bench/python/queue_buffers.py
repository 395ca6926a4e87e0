"""Buffers made by two threads and dropped by two others, through a bounded queue.

Sizes from 100 bytes to 256 KiB: objects of the interpreter, of malloc and whole runs of pages, all
freed by another thread than made them.
"""

from __future__ import annotations

import queue
import random
import threading

from bench.python.harness import Report, main

BUFFERS_PER_PRODUCER = 180_000
SIZES = [100, 700, 1500, 4096, 9000, 30_000, 65_536, 262_144]
WEIGHTS = [30, 25, 20, 10, 6, 5, 3, 1]


def produce(out: queue.Queue[bytearray | None], seed: int) -> None:
    """Puts buffers of mixed sizes, then the end mark."""
    chooser = random.Random(seed)
    sizes = chooser.choices(SIZES, WEIGHTS, k=BUFFERS_PER_PRODUCER)
    for size in sizes:
        buffer = bytearray(size)
        buffer[-1] = 1
        out.put(buffer)
    out.put(None)


def consume(source: queue.Queue[bytearray | None], lengths: list[int]) -> None:
    """Takes buffers until the end mark; keeps only a copy of the last few bytes of each."""
    total = 0
    while (buffer := source.get()) is not None:
        tail = bytes(buffer[-600:])
        total += len(buffer) + len(tail)
    lengths.append(total)


def workload(_: Report) -> None:
    """Two producers, two consumers, at most 256 buffers on their way."""
    channel: queue.Queue[bytearray | None] = queue.Queue(maxsize=256)
    lengths: list[int] = []
    threads = [threading.Thread(target=produce, args=(channel, seed)) for seed in (1, 2)]
    threads += [threading.Thread(target=consume, args=(channel, lengths)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lengths) == 2


if __name__ == "__main__":
    main(workload)
