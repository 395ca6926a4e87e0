"""Runs one of pyperformance's benchmarks in this process, and prints its line.

    python -m bench.pyperformance.worker SCRIPT [ARGUMENT]...

pyperf by itself starts a process for the calibration and one for each few values. Here the process
that is measured does both: it doubles the loops until one value takes long enough, and the values
with the last number of loops are the result. What pyperf would repeat, the schedule repeats, with
all allocators in turns.

pyperf's clock is the wall's. On a shared machine that one runs twice as fast for some values; here
it is the processor time of the process, which also has in it what an allocator does on a thread of
its own.
"""

from __future__ import annotations

import json
import math
import runpy
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.python.harness import status_kib
from bench.python.proof import allocator_in_use

VALUES = 3
WARMUPS = 1
LEAST_SECONDS = 0.1  # of one value, as pyperf has it


def run(script: str, arguments: Sequence[str], output: Path) -> None:
    """Runs the script as pyperf's worker; the values go to `output`."""
    options = ["--worker", "--calibrate-loops", "--min-time", str(LEAST_SECONDS), "--quiet"]
    options += ["--values", str(VALUES), "--warmups", str(WARMUPS), "--output", str(output)]
    # Before pyperf and the script are imported: both take the function from the module.
    time.perf_counter = time.process_time
    sys.argv = [script, *options, *arguments]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


def seconds_of(warmups: Sequence[tuple[int, float]]) -> float:
    """The median of the values with the last number of loops, the first of which is a warm-up."""
    final = warmups[-1][0]
    values = [value for loops, value in warmups if loops == final]
    return median(values[WARMUPS:] or values)


def main() -> None:
    """Runs, reads memory, prints."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "values.json")
        run(sys.argv[1], sys.argv[2:], output)
        memory = {"peak_kib": status_kib("VmHWM"), "rss_kib": status_kib("VmRSS")}
        pyperf = __import__("pyperf")
        results = pyperf.BenchmarkSuite.load(str(output)).get_benchmarks()
    # Some scripts have several benchmarks: all of them count the same.
    times = [seconds_of(result.get_runs()[0].warmups) for result in results]
    mean = math.exp(sum(map(math.log, times)) / len(times))
    print(json.dumps({"metrics": {"us": mean * 1e6, **memory}, "proof": allocator_in_use()}))


if __name__ == "__main__":
    main()
