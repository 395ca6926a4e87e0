"""Fragmentation: half a million blocks of mixed sizes, of which nine in ten go away at random.

Then the gaps are filled with blocks of other sizes and emptied again, and all of it once more. The
survivors stay alive, so `idle_kib` says what a tenth of the data costs once it has been full.
"""

from __future__ import annotations

import random

from bench.python.harness import Report, main

ROUNDS = 2
BLOCKS = 500_000
SURVIVES_ONE_IN = 10


def sizes(chooser: random.Random, low: int, high: int, count: int) -> list[int]:
    """Sizes drawn evenly between two bounds."""
    return [low + int(chooser.random() * (high - low)) for _ in range(count)]


def thin_out(chooser: random.Random) -> list[bytes]:
    """Makes all blocks; returns the tenth that stays."""
    blocks: list[bytes | None] = [bytes(size) for size in sizes(chooser, 16, 1000, BLOCKS)]
    order = list(range(BLOCKS))
    chooser.shuffle(order)
    for index in order[BLOCKS // SURVIVES_ONE_IN :]:
        blocks[index] = None
    return [block for block in blocks if block is not None]


def workload(_: Report) -> list[bytes]:
    """Fill, thin out, fill otherwise, empty; returns the survivors."""
    chooser = random.Random(23)
    survivors: list[bytes] = []
    for _round in range(ROUNDS):
        survivors += thin_out(chooser)
        others = [bytes(size) for size in sizes(chooser, 200, 3000, BLOCKS // 8)]
        assert len(others) == BLOCKS // 8
        del others
    return survivors


if __name__ == "__main__":
    main(workload)
