"""A prefork server: data loaded once, then four children that answer requests from it.

What counts is `child_private_kib`: how much memory of its own each child has in the end. A parent
whose free memory is scattered between live objects makes its children copy pages.
"""

from __future__ import annotations

import gc
import json
import os
import random
import time

from bench.python.harness import Report, main, rollup_kib

CHILDREN = 4
ENTRIES = 120_000
REQUESTS = 250
IDLE_SECONDS = 0.5


def load() -> dict[int, dict[str, object]]:
    """The shared data; loading it leaves free memory between its parts, as parsing does."""
    texts = [
        json.dumps({"id": i, "name": f"entry {i}", "tags": [f"t{i % 89}", f"u{i % 7}"]})
        for i in range(ENTRIES)
    ]
    return {i: json.loads(text) for i, text in enumerate(texts)}


def answer(data: dict[int, dict[str, object]], chooser: random.Random) -> int:
    """One request: 200 look-ups, a reply of some 20 KB."""
    found = [data[chooser.randrange(ENTRIES)] for _ in range(200)]
    reply = json.dumps({"items": found, "page": bytes(5000).hex()})
    return len(json.loads(reply)["items"])


def private_dirty_kib() -> int:
    """Memory that this process alone holds."""
    return rollup_kib("Private_Dirty")


def serve(data: dict[int, dict[str, object]], seed: int, pipe: int) -> None:
    """A child's life; it writes its private memory into the pipe."""
    chooser = random.Random(seed)
    for _ in range(REQUESTS):
        answer(data, chooser)
    busy = private_dirty_kib()
    time.sleep(IDLE_SECONDS)
    os.write(pipe, f"{busy} {private_dirty_kib()}\n".encode())


def run_children(data: dict[int, dict[str, object]]) -> list[tuple[int, int]]:
    """Forks the children and collects what each reports: while busy, and after idling."""
    reading, writing = os.pipe()
    pids = []
    for seed in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            serve(data, seed, writing)
            os._exit(0)
        pids.append(pid)
    os.close(writing)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    with os.fdopen(reading) as lines:
        return [(int(busy), int(idle)) for busy, idle in (line.split() for line in lines)]


def workload(report: Report) -> object:
    """Loads, freezes, forks; the data stays alive."""
    data = load()
    gc.collect()
    gc.freeze()
    children = run_children(data)
    assert len(children) == CHILDREN
    report.add("child_private_kib", sum(busy for busy, _ in children) / CHILDREN)
    report.add("child_private_idle_kib", sum(idle for _, idle in children) / CHILDREN)
    return data


if __name__ == "__main__":
    main(workload)
