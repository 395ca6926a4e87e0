"""One run of the command under one allocator, from its start to the last of its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from trimalloc.comparison.allocators import Allocator, environment_for
from trimalloc.comparison.proof import unproven
from trimalloc.comparison.protocol import HOLD_VARIABLE, IDLE_VARIABLE, REPORT_VARIABLE, Report
from trimalloc.comparison.sampling import Sampler
from trimalloc.comparison.watch import OnProgress, Watch

HOLD_FOLDER = Path(__file__).parent / "hold"


@dataclass
class RunResult:
    """What one run showed. Times are seconds since its start, memory is bytes."""

    allocator: str
    round: int
    error: str | None = None
    exit_status: int | None = None
    """As ``subprocess`` has it: negative for a signal."""
    proof: str | None = None
    seconds: float = 0.0
    """From start to end, without quiet phases."""
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    idle_bytes: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    phases: list[tuple[float, str]] = field(default_factory=list)
    samples: list[tuple[float, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """What is run, the same for every allocator."""

    command: Sequence[str]
    idle_seconds: float
    hold: bool = False
    """Whether the command is a Python, which can be held at its end."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def run(
    task: Task, allocator: Allocator, round_: int, on_progress: OnProgress = lambda *_: None
) -> RunResult:
    """Runs the task's command under the allocator; whatever goes wrong is in the result.

    KeyboardInterrupt passes through, after every process of the run has been ended.
    """
    with TemporaryDirectory(prefix="trimalloc-compare-") as scratch:
        report = Report(Path(scratch, "report.jsonl"))
        stderr = Path(scratch, "stderr")
        started = time.monotonic()
        try:
            process = _start(task, _environment(task, allocator, report.path), stderr)
        except OSError as error:
            reason = f"cannot be started: {error.strerror}"
            return RunResult(allocator.name, round_, error=reason)
        sampler = Sampler(process.pid, report, started)
        watch = Watch(process, allocator, sampler, task.idle_seconds)
        try:
            watch.until_end(on_progress)
        finally:
            watch.finish()
        result = _result(task, allocator, round_, watch, sampler)
        result.error = _failure(task, watch, stderr.read_text(errors="replace"))
    return result


def _environment(task: Task, allocator: Allocator, report: Path) -> dict[str, str]:
    environment = environment_for(allocator, task.environment)
    environment[REPORT_VARIABLE] = str(report)
    environment[IDLE_VARIABLE] = str(task.idle_seconds)
    if task.hold and task.idle_seconds > 0:
        environment[HOLD_VARIABLE] = str(task.idle_seconds)
        rest = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{HOLD_FOLDER}{os.pathsep}{rest}" if rest else str(HOLD_FOLDER)
    return environment


def _start(task: Task, environment: dict[str, str], stderr: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that a Ctrl-C at the terminal reaches only us, and that all it
    starts can be ended with it."""
    with stderr.open("wb") as stderr_file:
        return subprocess.Popen(
            list(task.command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr_file,
            start_new_session=True,
        )


def _result(
    task: Task, allocator: Allocator, round_: int, watch: Watch, sampler: Sampler
) -> RunResult:
    start, end = sampler.started, watch.ended
    quiet = sum(until - begin for begin, until in sampler.report.quiet_spans(end))
    return RunResult(
        allocator.name,
        round_,
        exit_status=watch.exit_status,
        proof=watch.proof,
        seconds=end - start - quiet,
        cpu_seconds=watch.cpu_seconds,
        peak_bytes=sampler.peak,
        idle_bytes=sampler.after_idle(task.idle_seconds, end),
        metrics=dict(sampler.report.metrics),
        phases=[(moment - start, name) for moment, name in sampler.report.phases],
        samples=[(moment - start, resident) for moment, resident in sampler.samples],
    )


def _failure(task: Task, watch: Watch, stderr: str) -> str | None:
    if watch.disproof is not None:
        return watch.disproof
    status = watch.exit_status
    if status != 0 and not watch.ended_by_us:
        ended = (
            f"exit status {status}" if status > 0 else f"ended by {signal.Signals(-status).name}"
        )
        last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
        return f"{ended}: {last}" if last else ended
    if watch.proof is None:
        return unproven(task.command)
    return None
