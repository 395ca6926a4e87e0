"""NumPy expressions, whose every operator makes an array and drops another, 4 KiB to 32 MiB."""

from __future__ import annotations

from bench.python.harness import Report, main, require

np = require("numpy")

ELEMENTS = [512, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304]
ELEMENTS_PER_SIZE = 24_000_000


def expression(elements: int, rounds: int) -> float:
    """Seven temporaries a round."""
    x = np.arange(elements, dtype=np.float64)
    y = x[::-1].copy()
    total = 0.0
    for _ in range(rounds):
        z = (x * 2.0 + y) * (y - 0.5 * x) / (x + 1.0)
        total += float(z[elements // 2])
    return total


def workload(_: Report) -> None:
    """All sizes, small ones more often; then large arrays of zeros of which little is written."""
    for elements in ELEMENTS:
        expression(elements, ELEMENTS_PER_SIZE // elements)
    for _round in range(200):
        zeros = np.zeros(16_777_216)
        zeros[:: 1 << 20] = 1.0


if __name__ == "__main__":
    main(workload)
