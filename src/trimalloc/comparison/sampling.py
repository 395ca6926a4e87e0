"""The memory of a process tree over time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from trimalloc.comparison import process_tree
from trimalloc.comparison.protocol import Report

# Short enough to see a burst's shape, long enough to cost a busy core well under one per cent.
SAMPLE_INTERVAL_SECONDS = 0.05


@dataclass
class Sampler:
    """Samples one process tree; what the report leaves out is not counted."""

    pid: int
    report: Report
    started: float
    samples: list[tuple[float, int]] = field(default_factory=list)
    """Moment by ``time.monotonic()``, and resident bytes of all counted processes together."""
    high_water: int = 0
    """The highest VmHWM of any one process: it also knows what happened between two samples."""
    _left_out_cpu: dict[int, float] = field(default_factory=dict)

    def sample(self) -> None:
        """Takes one sample; nothing once the process has ended."""
        self.report.poll()
        root = process_tree.memory_of(self.pid)
        if root is None:
            return
        total = 0
        for pid in process_tree.family_of(self.pid, self.report.not_counted):
            memory = process_tree.memory_of(pid)
            if memory is not None:
                total += memory[0]
                self.high_water = max(self.high_water, memory[1])
        self.samples.append((time.monotonic(), total))
        for pid in self.report.not_counted:
            cpu = process_tree.cpu_seconds_of(pid)
            if cpu is not None:
                self._left_out_cpu[pid] = cpu

    @property
    def left_out_cpu_seconds(self) -> float:
        """CPU time of the processes that are not counted, as last seen."""
        return sum(self._left_out_cpu.values())

    @property
    def peak(self) -> int:
        """The highest resident memory, in bytes: of the whole tree as sampled, or of one process
        as the kernel recorded it."""
        return max([self.high_water, *(resident for _, resident in self.samples)])

    def after_idle(self, idle_seconds: float, end: float) -> int | None:
        """Resident bytes `idle_seconds` into the first quiet phase, or at its end when it is
        shorter; None when the program had none."""
        spans = self.report.quiet_spans(end)
        if not spans or idle_seconds <= 0:
            return None
        begin, until = spans[0]
        last = min(until, begin + idle_seconds)
        quiet = [resident for moment, resident in self.samples if begin < moment <= last]
        return quiet[-1] if quiet else None
