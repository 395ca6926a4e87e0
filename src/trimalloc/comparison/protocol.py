"""How a measured program can report about itself.

The environment variable ``TRIMALLOC_COMPARE_REPORT`` names a file. A program that finds it may
append JSON objects to it, one on a line, each with any of these keys:

``{"phase": "burst"}``
    a phase begins. ``quiet`` has a meaning: the work is done, what follows is idling; it is not
    counted as time, and the memory at its end is the figure "after idle". Other names are only
    shown. ``"time"`` may give the moment by ``time.monotonic()``.
``{"metrics": {"requests_per_second": 812.5, "p99_ms": 14.2}}``
    figures to show beside time and memory. Later ones replace earlier ones of the same name.
``{"not_counted": 4711}``
    the process 4711, a child that only drives the load, is left out of memory and CPU time.

``TRIMALLOC_COMPARE_IDLE`` says how many seconds of quiet will be watched. A program that goes on
after that is ended by SIGTERM, which then counts as a success.

Lines that are not such objects are ignored: a program's report can't break the measurement.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

REPORT_VARIABLE = "TRIMALLOC_COMPARE_REPORT"
IDLE_VARIABLE = "TRIMALLOC_COMPARE_IDLE"
HOLD_VARIABLE = "TRIMALLOC_COMPARE_HOLD"
QUIET = "quiet"


@dataclass
class Report:
    """Follows a program's report file while the program writes it."""

    path: Path
    phases: list[tuple[float, str]] = field(default_factory=list)
    """When each phase began, by ``time.monotonic()``."""
    metrics: dict[str, float] = field(default_factory=dict)
    not_counted: set[int] = field(default_factory=set)
    _consumed: int = 0

    def poll(self) -> None:
        """Takes in the lines that were completed since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._consumed)
                fresh = file.read()
        except FileNotFoundError:
            return
        complete = fresh.rfind(b"\n") + 1
        self._consumed += complete
        for line in fresh[:complete].splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not isinstance(entry, dict):
            return
        phase = entry.get("phase")
        if isinstance(phase, str):
            moment = _number(entry.get("time"))
            self.phases.append((time.monotonic() if moment is None else moment, phase))
        metrics = entry.get("metrics")
        if isinstance(metrics, dict):
            numbers = {name: _number(value) for name, value in metrics.items()}
            self.metrics.update({name: one for name, one in numbers.items() if one is not None})
        pid = entry.get("not_counted")
        if isinstance(pid, int):
            self.not_counted.add(pid)

    def quiet_since(self) -> float | None:
        """When the first quiet phase began."""
        return next((moment for moment, name in self.phases if name == QUIET), None)

    @property
    def is_quiet(self) -> bool:
        """Whether the last phase reported is a quiet one."""
        return bool(self.phases) and self.phases[-1][1] == QUIET

    def quiet_spans(self, end: float) -> list[tuple[float, float]]:
        """Every quiet phase with its end: the next phase's beginning, or `end`."""
        ends = [*(moment for moment, _ in self.phases[1:]), end]
        return [
            (begin, until)
            for (begin, name), until in zip(self.phases, ends, strict=False)
            if name == QUIET
        ]


def _number(value: object) -> float | None:
    """A JSON number as float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return None
    return float(value)
