"""explain(): the snapshot beside the kernel's count, within the bound that it states."""

from __future__ import annotations

import pytest

from python.commands import run_python

BOUND = 0.98

WORK = """
import random, trimalloc
random.seed(7)
kept = [bytearray(b"x") * random.choice((50, 900, 5_000, 300_000)) for _ in range(3000)]
for _ in range(1500):
    kept.pop(random.randrange(len(kept)))
"""


@pytest.mark.parametrize("mode", ["full", "arena", "malloc"])
def test_the_snapshot_explains_what_is_resident(mode: str) -> None:
    output = run_python(
        WORK
        + """
import time
best = 0.0
for _ in range(5):  # pages may go back between the two readings
    explanation = trimalloc.explain()
    best = max(best, explanation.explained_share)
    time.sleep(0.2)
assert explanation.measured > 10_000_000, explanation
assert explanation.untouched < 0.05 * explanation.measured, explanation
print(best)
""",
        "--mode",
        mode,
    )
    assert float(output) >= BOUND


def test_untouched_memory_is_told_apart() -> None:
    output = run_python("""
        import ctypes, trimalloc
        calloc = ctypes.CDLL(None).calloc
        calloc.restype = ctypes.c_void_p
        block = calloc(ctypes.c_size_t(100), ctypes.c_size_t(1 << 20))
        explanation = trimalloc.explain()
        print(90 << 20 < explanation.untouched < 110 << 20, explanation.explained_share)
        """)
    assert output == "True 1.0\n"
