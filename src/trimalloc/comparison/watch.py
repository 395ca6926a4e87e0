"""Follows a started command to its end, and ends whatever is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from trimalloc.comparison import process_tree
from trimalloc.comparison.allocators import Allocator
from trimalloc.comparison.proof import NotInUseError, prove
from trimalloc.comparison.sampling import SAMPLE_INTERVAL_SECONDS, Sampler

# Until the allocator is proved, look often: a short command must not end unseen.
PROOF_INTERVAL_SECONDS = 0.001
# A program that knows how long it is watched ends by itself within this time afterwards.
ENDING_GRACE_SECONDS = 3.0
# What a program gets to end on SIGTERM before SIGKILL.
TERMINATION_SECONDS = 5.0
# How long to wait for killed processes to be gone, so that they do not disturb the next run.
DEPARTURE_SECONDS = 1.0

OnProgress = Callable[[float, int], None]
"""Called about every 50 ms with the seconds since the start and the resident bytes."""


class Watch:
    """One process, which leads a session of its own, and everything that it starts."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        allocator: Allocator,
        sampler: Sampler,
        idle_seconds: float,
    ) -> None:
        self.proof: str | None = None
        self.disproof: str | None = None
        self.ended_by_us = False
        self.ended: float = 0.0
        self.exit_status: int = 0
        self.cpu_seconds: float = 0.0
        self._process = process
        self._allocator = allocator
        self._sampler = sampler
        self._idle_seconds = idle_seconds
        self._proved_executable: str | None = None
        self._terminated_at: float | None = None
        self._exited = threading.Event()
        # Leaves the process to be waited for by `finish`: until then its number stays its own.
        threading.Thread(target=self._await_exit, daemon=True).start()

    def _await_exit(self) -> None:
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self.ended = time.monotonic()
        self._exited.set()

    def until_end(self, on_progress: OnProgress) -> None:
        """Samples until the process has ended, or is found to use another allocator; ends it when
        its quiet phase has been watched."""
        next_sample = self._sampler.started
        while not self._exited.is_set() and self.disproof is None:
            self._prove()
            now = time.monotonic()
            if now >= next_sample:
                self._sampler.sample()
                self._end_when_watched(now)
                resident = self._sampler.samples[-1][1] if self._sampler.samples else 0
                on_progress(now - self._sampler.started, resident)
                next_sample = max(next_sample + SAMPLE_INTERVAL_SECONDS, now)
            pause = max(next_sample - time.monotonic(), 0)
            self._exited.wait(pause if self.proof else min(pause, PROOF_INTERVAL_SECONDS))

    def finish(self) -> None:
        """Ends every process that is left, waits for the first one, and reads its figures."""
        pid = self._process.pid
        for member in process_tree.family_of(pid)[1:]:  # also those with a session of their own
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        self._signal_session(signal.SIGKILL)
        self._exited.wait()
        self._signal_session(signal.SIGKILL)  # what was started meanwhile
        _, status, usage = os.wait4(pid, 0)
        self.exit_status = self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_seconds = usage.ru_utime + usage.ru_stime - self._sampler.left_out_cpu_seconds
        self._sampler.report.poll()
        deadline = time.monotonic() + DEPARTURE_SECONDS
        while self._signal_session(0) and time.monotonic() < deadline:
            time.sleep(0.005)

    def _signal_session(self, sign: int) -> bool:
        """Signals all of the process's group; returns whether there was any."""
        try:
            os.killpg(self._process.pid, sign)
        except ProcessLookupError:
            return False
        return True

    def _prove(self) -> None:
        """Again whenever the process has become another program."""
        executable = process_tree.executable_of(self._process.pid)
        if executable is None or executable == self._proved_executable:
            return
        try:
            self.proof = prove(self._allocator, self._process.pid)
        except NotInUseError as error:
            self.disproof = str(error)
        if self.proof is not None:
            self._proved_executable = executable

    def _end_when_watched(self, now: float) -> None:
        quiet_since = self._sampler.report.quiet_since()
        if quiet_since is None or not self._sampler.report.is_quiet:
            return
        if now < quiet_since + self._idle_seconds + ENDING_GRACE_SECONDS:
            return
        if self._terminated_at is None:
            self.ended_by_us = True
            self._terminated_at = now
            os.kill(self._process.pid, signal.SIGTERM)
        elif now > self._terminated_at + TERMINATION_SECONDS:
            os.kill(self._process.pid, signal.SIGKILL)
