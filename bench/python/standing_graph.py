"""A graph of three million objects that stays, while the program works on it for a minute.

Reported besides the usual figures: `turn_ms`, a walk and a run of the garbage collector, the mean
of all; `gc_first_ms` and `gc_last_ms`, one run of it, the median of the first three and of the
last; `step_first_ns` and `step_last_ns`, one step along random references; `huge_kib`, how much of
the memory lies in huge pages in the end.
"""

from __future__ import annotations

import gc
import random
import statistics
import time

from bench.python.harness import Report, main, rollup_kib

OBJECTS = 3_000_000
STEPS = 300_000
SECONDS = 60.0
TURNS = 3  # at both ends


class Node:
    """Two references and a number, as in a tree or an index."""

    __slots__ = ("left", "number", "right")

    def __init__(self, number: int) -> None:
        self.number = number
        self.left: Node = self
        self.right: Node = self


def build() -> list[Node]:
    """Nodes that refer to their predecessor and to any other."""
    nodes = [Node(number) for number in range(OBJECTS)]
    chooser = random.Random(23)
    for position, node in enumerate(nodes):
        node.left = nodes[position - 1]
        node.right = nodes[chooser.randrange(OBJECTS)]
    return nodes


def walk(node: Node) -> Node:
    """Along random references."""
    for _ in range(STEPS):
        node = node.right
    return node


def workload(report: Report) -> None:
    """Collects and walks by turns, and compares the first seconds with the last."""
    nodes = build()
    node = nodes[0]
    start = time.process_time()
    turns = []
    while (begun := time.process_time()) - start < SECONDS:
        node = walk(node)
        walked = time.process_time()
        gc.collect()
        turns.append((walked - begun, time.process_time() - walked))
    for name, chosen in (("first", turns[:TURNS]), ("last", turns[-TURNS:])):
        report.add(f"step_{name}_ns", statistics.median(turn[0] for turn in chosen) / STEPS * 1e9)
        report.add(f"gc_{name}_ms", statistics.median(turn[1] for turn in chosen) * 1e3)
    report.add("turn_ms", statistics.mean(sum(turn) for turn in turns) * 1e3)
    report.add("huge_kib", rollup_kib("AnonHugePages"))


if __name__ == "__main__":
    main(workload)
