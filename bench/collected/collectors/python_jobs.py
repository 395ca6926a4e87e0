"""The jobs of `__main__.py` as CPython's objects with `__slots__`. Prints one line of JSON.

Reference counts free what has no cycles, so its collector only looks: at everything, and the whole
program stands meanwhile.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import time

from bench.python.harness import status_kib

TREES = 1000
KEPT_OF = 10
IDLE_SECONDS = 10
GARBAGE = 32
OBJECT_HEADER = 16  # of gc, which getsizeof leaves out


class Record:
    """{number, two references}."""

    __slots__ = ("a", "b", "value")

    def __init__(self, value: int) -> None:
        self.value = value
        self.a: Record | None = None
        self.b: Record | None = None


def linked_tree(count: int) -> list[Record]:
    """Records that are one tree, in the order of its levels."""
    every = [Record(number) for number in range(count)]
    for number in range((count - 1) // 2):
        every[number].a, every[number].b = every[2 * number + 1], every[2 * number + 2]
    return every


def mark(count: int) -> dict[str, float]:
    """One collection of a tree that stays."""
    top = linked_tree(count)[0]
    gc.collect()
    began, used = time.perf_counter(), time.process_time()
    gc.collect()
    took = {"cpu_s": time.process_time() - used, "wall_s": time.perf_counter() - began}
    assert top.a is not None
    return {"records": count, **took}


def pauses(count: int, seconds: float) -> dict[str, float]:
    """Collections that begin by themselves while a tree stays and is changed."""
    every = linked_tree(count)
    stops: list[float] = []
    began = 0.0

    def watch(phase: str, _: dict[str, int]) -> None:
        nonlocal began
        now = time.perf_counter()
        if phase == "start":
            began = now
        else:
            stops.append((now - began) * 1e6)

    gc.callbacks.append(watch)
    steps, longest, first = 0, 0.0, time.perf_counter()
    before = first
    while before - first < seconds:
        number = random.randrange(count)
        for _ in range(GARBAGE):
            Record(number)
        fresh = Record(number)
        fresh.a, fresh.b = every[number].a, every[number].b
        every[(number - 1) // 2].a = every[number] = fresh
        now = time.perf_counter()
        longest, before, steps = max(longest, now - before), now, steps + 1
    gc.collect()  # the whole of it, which came by itself while the records were made
    stops.sort()
    return {
        "collections": len(stops),
        "p50_us": stops[len(stops) // 2],
        "p99_us": stops[len(stops) * 99 // 100],
        "max_us": stops[-1],
        "longest_step_us": longest * 1e6,
        "step_ns": (before - first) / steps * 1e9,
    }


def allocate(count: int) -> dict[str, float]:
    """Records, each dropped when the next one is there."""
    began, used = time.perf_counter(), time.process_time()
    for _ in range(count):
        Record(0)
    return {
        "ns": (time.perf_counter() - began) / count * 1e9,
        "cpu_ns": (time.process_time() - used) / count * 1e9,
    }


def drop(count: int) -> dict[str, float]:
    """A thousand trees of which nine in ten go: what memory is left after a while."""
    before = status_kib("VmRSS")
    tops = [linked_tree(count // TREES)[0] for _ in range(TREES)]
    full = status_kib("VmRSS")
    size = sys.getsizeof(tops[0]) + OBJECT_HEADER
    tops = tops[::KEPT_OF]
    gc.collect()
    time.sleep(IDLE_SECONDS)
    rss = status_kib("VmRSS")
    live = count // KEPT_OF * size / 1024
    return {"full_kib": full - before, "rss_kib": rss - before, "live_kib": live}


def main(words: list[str]) -> None:
    """Does one job."""
    job = words[0]
    if job == "mark":
        found = mark(int(words[2]))
    elif job == "pauses":
        found = pauses(int(words[1]), float(words[2]))
    else:
        found = {"allocate": allocate, "drop": drop}[job](int(words[1]))
    print(json.dumps(found), flush=True)
    os._exit(0)  # freeing millions of linked objects one by one is nobody's figure here


if __name__ == "__main__":
    main(sys.argv[1:])
