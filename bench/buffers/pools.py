"""What a block of a pool costs beside a fresh buffer, and beside a queue of buffers.

    python -m bench.buffers.pools [ROUNDS]

ns for one taken and given back, by one thread and by eight, in ROUNDS interleaved rounds (medians):

    pool           pool.take().give()
    pool, with     with pool.take(): pass
    bytearray      bytearray(n)
    Queue          queue.Queue of bytearrays: get and put
    SimpleQueue    queue.SimpleQueue of them, which has no limit, grows and shrinks by hand alone
"""

from __future__ import annotations

import queue
import statistics
import sys
import threading
import time
from collections.abc import Callable

from bench.python.harness import require

trimalloc = require("trimalloc")

SIZES = (4 << 10, 64 << 10, 1 << 20)
THREADS = (1, 8)
OPERATIONS = 40_000
ROUNDS = 7

Work = Callable[[int], None]


def works(size: int) -> dict[str, Work]:
    """What is measured: each does so many operations."""
    pool = trimalloc.Pool(size, chunk=max(1 << 20, 16 * size))
    ordered: queue.Queue[bytearray] = queue.Queue()
    simple: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
    for _ in range(16):
        ordered.put(bytearray(size))
        simple.put(bytearray(size))

    def from_pool(count: int) -> None:
        take = pool.take
        for _ in range(count):
            take().give()

    def in_context(count: int) -> None:
        take = pool.take
        for _ in range(count):
            with take():
                pass

    def fresh(count: int) -> None:
        for _ in range(count):
            bytearray(size)

    def through(one: queue.Queue[bytearray] | queue.SimpleQueue[bytearray]) -> Work:
        def work(count: int) -> None:
            get, put = one.get, one.put
            for _ in range(count):
                put(get())

        return work

    return {
        "pool": from_pool,
        "pool, with": in_context,
        "bytearray": fresh,
        "Queue": through(ordered),
        "SimpleQueue": through(simple),
    }


def ns_of(work: Work, threads: int) -> float:
    """Of an operation, by the clock."""
    share = OPERATIONS // threads
    running = [threading.Thread(target=work, args=(share,)) for _ in range(threads)]
    start = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return (time.perf_counter() - start) / (share * threads) * 1e9


def main(argv: list[str]) -> None:
    """Prints a table."""
    if argv and not argv[0].isdecimal():
        sys.exit(f"pools: {argv[0]!r} is no number of rounds; give one such as {ROUNDS}")
    rounds = int(argv[0]) if argv else ROUNDS
    rows = [(size, threads) for size in SIZES for threads in THREADS]
    measured = {size: works(size) for size in SIZES}
    names = list(measured[SIZES[0]])
    found: dict[tuple[int, int, str], list[float]] = {}
    for turn in range(rounds):
        for size, threads in rows:
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                ns = ns_of(measured[size][name], threads)
                found.setdefault((size, threads, name), []).append(ns)
    print(f"ns for one taken and given, Python {sys.version.split()[0]}, {rounds} rounds\n")
    print("| bytes | threads | " + " | ".join(names) + " |")
    print("| ---: " * (2 + len(names)) + "|")
    for size, threads in rows:
        cells = (f"{statistics.median(found[size, threads, name]):.0f}" for name in names)
        print(f"| {size} | {threads} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
