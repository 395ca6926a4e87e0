"""Runs a program with libtrimalloc.so preloaded and tells how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Settings of the surrounding shell must not decide what a test sees.
_FOREIGN_SETTINGS = ("TRIMALLOC_", "MALLOC_", "PYTHON", "LD_PRELOAD", "GLIBC_TUNABLES")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without anything that changes an allocator."""
    return {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN_SETTINGS)}


@dataclass(frozen=True)
class Outcome:
    """How a program ended and what it wrote."""

    command: Sequence[str]
    returncode: int
    stdout: str
    stderr: str

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ended the program, if one did."""
        return signal.Signals(-self.returncode) if self.returncode < 0 else None

    def describe(self) -> str:
        """Return everything a person needs to see when an assertion about this outcome fails."""
        ending = self.signal.name if self.signal else f"status {self.returncode}"
        command = " ".join(self.command)
        return f"{command}\nended with {ending}\n-- stdout\n{self.stdout}\n-- stderr\n{self.stderr}"

    def assert_success(self) -> None:
        """Fail unless the program returned 0; what it wrote is not judged."""
        assert self.returncode == 0, self.describe()

    def assert_clean(self) -> None:
        """Fail unless the program returned 0 and nobody, the allocator included, complained."""
        self.assert_success()
        assert not self.stderr, self.describe()


@dataclass(frozen=True)
class Preload:
    """A library to preload, with TRIMALLOC_* settings that every run of it gets."""

    library: Path
    settings: Mapping[str, str]

    def with_settings(self, **settings: str) -> Preload:
        """Return the same library with more settings: names without the prefix, in lower case."""
        added = {f"TRIMALLOC_{name.upper()}": value for name, value in settings.items()}
        return Preload(self.library, {**self.settings, **added})

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return a full environment, in which `extra` has the last word."""
        own = {"LD_PRELOAD": str(self.library), **self.settings}
        return {**clean_environment(), **own, **(extra or {})}

    def run(
        self,
        *command: str | Path,
        timeout: float = 60,
        environment: Mapping[str, str] | None = None,
        limits: Sequence[str] = (),
        directory: Path | None = None,
    ) -> Outcome:
        """Run `command` to its end.

        `limits` are options of prlimit(1), which itself runs without the preload, so that a limit
        is in force from the library's very first instruction. A program that hangs is killed with
        its children and fails the test.
        """
        words = [str(word) for word in command]
        full = self.environment(environment)
        if limits:
            settings = [f"LD_PRELOAD={full.pop('LD_PRELOAD')}"]
            words = ["prlimit", *limits, "env", *settings, *words]
        with subprocess.Popen(
            words,
            env=full,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                stdout, stderr = process.communicate()
                hung = Outcome(words, process.returncode, stdout, stderr)
                message = f"still running after {timeout} s: {hung.describe()}"
                raise AssertionError(message) from None
            except BaseException:  # an interrupted test must not leave its program running
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return Outcome(words, process.returncode, stdout, stderr)
