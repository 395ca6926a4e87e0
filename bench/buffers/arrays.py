"""What NumPy's temporaries cost by who allocates them.

    python -m bench.buffers.arrays [ROUNDS]

us for `sqrt(a * 2 + b) - c`, whose three temporaries have the size of a row, and for
`np.zeros(1 GiB)`, made and dropped (`zeros`; before it, what one adds to the resident memory), in
processes of their own that take turns (medians); at the end the geometric mean of the temporaries'
times over those on glibc:

    use            a plain process on glibc, after trimalloc.numpy.use()
    glibc          the same without it
    jemalloc ...   the distribution's libraries, preloaded
    trimalloc      preloaded
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

from bench.allocators import UnknownAllocatorError, parse
from bench.python.harness import require, status_kib

SIZES = (4 << 10, 64 << 10, 256 << 10, 1 << 20, 8 << 20, 64 << 20)
BYTES_PER_SIZE = 512 << 20  # of temporaries, for each size
ROUNDS = 5
PEERS = ("tcmalloc", "mimalloc", "jemalloc")


def measure() -> dict[str, float]:
    """All rows, in this process."""
    numpy = require("numpy")
    found: dict[str, float] = {}
    for size in SIZES:
        a, b, c = (numpy.full(size // 8, value) for value in (2.0, 3.0, 4.0))
        times = []
        for _ in range(max(3, BYTES_PER_SIZE // size // 4)):
            start = time.perf_counter()
            numpy.sqrt(a * 2 + b) - c
            times.append(time.perf_counter() - start)
        found[f"{size >> 10} KiB"] = statistics.median(times) * 1e6
        del a, b, c
    before = status_kib("VmRSS")
    array = numpy.zeros(1 << 27)
    # Less than nothing: what the temporaries left has gone meanwhile.
    found["zeros KiB"] = max(0, status_kib("VmRSS") - before)
    del array
    times = []
    for _ in range(20):
        start = time.perf_counter()
        numpy.zeros(1 << 27)
        times.append(time.perf_counter() - start)
    found["zeros"] = statistics.median(times) * 1e6
    return found


def child(name: str) -> None:
    """Prints one line of JSON."""
    if name == "use":
        require("trimalloc.numpy").use()
    print(json.dumps(measure()), flush=True)


def against_glibc(runs: list[dict[str, float]], glibc: list[dict[str, float]]) -> float:
    """Over all sizes of temporaries; of a size the median of the ratios within rounds."""
    return statistics.geometric_mean(
        statistics.median(one[row] / other[row] for one, other in zip(runs, glibc, strict=True))
        for row in (f"{size >> 10} KiB" for size in SIZES)
    )


def main(argv: list[str]) -> None:
    """Prints a table."""
    if argv[:1] == ["--child"]:
        return child(argv[1])
    if argv and not argv[0].isdecimal():
        sys.exit(f"arrays: {argv[0]!r} is no number of rounds; give one such as {ROUNDS}")
    rounds = int(argv[0]) if argv else ROUNDS
    environments = {"use": parse("glibc").environment(os.environ)}
    for name in ("glibc", *PEERS, "trimalloc"):
        try:
            environments[name] = parse(name).environment(os.environ)
        except UnknownAllocatorError as error:
            print(f"arrays: {error}", file=sys.stderr)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in environments}
    for _ in range(rounds):
        for name, environment in environments.items():
            command = [sys.executable, "-m", "bench.buffers.arrays", "--child", name]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                sys.exit(f"arrays: {name} failed: {done.stderr.strip()}")
            found[name].append(json.loads(done.stdout))
    print(f"us, Python {sys.version.split()[0]}, {rounds} rounds\n")
    print("| | " + " | ".join(found) + " |")
    print("| --- |" + " ---: |" * len(found))
    for row in found["use"][0]:
        cells = (statistics.median(one[row] for one in runs) for runs in found.values())
        print(f"| {row} | " + " | ".join(f"{cell:.3g}" for cell in cells) + " |")
    means = (f"{against_glibc(runs, found['glibc']):.3f}" for runs in found.values())
    print("| mean / glibc | " + " | ".join(means) + " |")
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
