"""What every benchmark program shares: it times the work and reads the memory, in the process.

A program is a function that does its work and returns what shall stay alive (or None). The figures
of one run are printed as one JSON line:

    cpu_s         processor time of the work and of dropping it, all threads and waited-for children
    wall_s        the same by the clock on the wall
    start_kib     resident memory before the work, imports done
    peak_kib      highest resident memory of the process so far (VmHWM)
    drop_kib      resident memory right after everything was dropped
    idle_1s_kib   resident memory after one more second in which the program does nothing
    idle_kib      the same after another second
    idle_cpu_ms   processor time that those two seconds cost
    minor_faults  pages that the kernel had to hand out during the work

The line ends with the proof of which allocator served the run, taken after all measuring.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

IDLE_SECONDS = 1.0  # twice


class Report:
    """The figures of one run; a program may add its own beside the common ones."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}

    def add(self, name: str, value: float) -> None:
        """Adds one figure; its name ends in its unit."""
        self.metrics[name] = value


def status_kib(field: str, pid: str = "self") -> int:
    """A field of /proc/PID/status in KiB: VmRSS or VmHWM. Allocates next to nothing."""
    return _kib(f"/proc/{pid}/status", field)


def rollup_kib(field: str) -> int:
    """A field of /proc/self/smaps_rollup in KiB, such as Private_Dirty. Likewise."""
    return _kib("/proc/self/smaps_rollup", field)


def _kib(path: str, field: str) -> int:
    file = os.open(path, os.O_RDONLY)
    try:
        text = os.read(file, 8192)
    finally:
        os.close(file)
    start = text.index(field.encode() + b":") + len(field) + 1
    return int(text[start : text.index(b"kB", start)])


def require(module: str) -> Any:
    """The module, or the end of the program with a line that says that it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        print(json.dumps({"skipped": f"{module} is not installed in {sys.executable}"}))
        raise SystemExit(0) from None


def main(workload: Callable[[Report], object]) -> None:
    """Runs the workload once and prints its line."""
    report = Report()
    gc.collect()
    report.add("start_kib", status_kib("VmRSS"))
    survivors = _timed(workload, report)
    report.add("peak_kib", status_kib("VmHWM"))
    report.add("drop_kib", status_kib("VmRSS"))
    busy = time.process_time()
    time.sleep(IDLE_SECONDS)
    report.add("idle_1s_kib", status_kib("VmRSS"))
    time.sleep(IDLE_SECONDS)
    report.add("idle_cpu_ms", (time.process_time() - busy) * 1000)
    report.add("idle_kib", status_kib("VmRSS"))
    _print_line(report)
    del survivors  # alive until here: what fragments memory must still be there when it is read


def _timed(workload: Callable[[Report], object], report: Report) -> object:
    faults = _minor_faults()
    wall, cpu = time.perf_counter(), _cpu_seconds()
    survivors = workload(report)
    gc.collect()
    report.add("cpu_s", _cpu_seconds() - cpu)
    report.add("wall_s", time.perf_counter() - wall)
    report.add("minor_faults", _minor_faults() - faults)
    return survivors


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _minor_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _print_line(report: Report) -> None:
    from bench.python.proof import allocator_in_use

    print(json.dumps({"metrics": report.metrics, "proof": allocator_in_use()}))
