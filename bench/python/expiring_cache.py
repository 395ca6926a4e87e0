"""A cache in memory with expiry and a size limit, in a steady state: as much goes as comes.

Values are rendered pages of 200 B to 60 KB; the order in which they go is not the order in which
they came, because hits renew them. The cache stays alive.
"""

from __future__ import annotations

import random
from collections import OrderedDict

from bench.python.harness import Report, main

OPERATIONS = 450_000
KEYS = 60_000
LIMIT_BYTES = 64 << 20


class Cache:
    """Least recently used goes first, once the limit is reached."""

    def __init__(self) -> None:
        self.values: OrderedDict[str, bytes] = OrderedDict()
        self.used = 0

    def get(self, key: str) -> bytes | None:
        """The value, which counts as used now."""
        value = self.values.get(key)
        if value is not None:
            self.values.move_to_end(key)
        return value

    def put(self, key: str, value: bytes) -> None:
        """Adds a value and drops what no longer fits."""
        old = self.values.pop(key, b"")
        self.values[key] = value
        self.used += len(value) - len(old)
        while self.used > LIMIT_BYTES:
            _, oldest = self.values.popitem(last=False)
            self.used -= len(oldest)


def workload(_: Report) -> Cache:
    """Keys by a skewed distribution, so that about half of the look-ups hit."""
    chooser = random.Random(31)
    cache = Cache()
    for _operation in range(OPERATIONS):
        number = int(KEYS * chooser.random() ** 2)
        key = f"page:{number}"
        if cache.get(key) is None:
            cache.put(key, b"p" * int(200 + 60_000 * chooser.random() ** 6))
    return cache


if __name__ == "__main__":
    main(workload)
