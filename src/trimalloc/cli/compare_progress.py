"""What ``trimalloc compare`` shows on stderr while it runs: one line kept up to date on a terminal,
a line for each run elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

from trimalloc.comparison.allocators import Allocator
from trimalloc.comparison.run import RunResult
from trimalloc.comparison.summary import MEGABYTE


class Progress:
    """The line for the run that is going on."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._label = ""

    def start(self, number: int, total: int, allocator: Allocator) -> None:
        """Run `number` of `total` begins."""
        self._label = f"[{number + 1}/{total}] {allocator.name}"

    def update(self, seconds: float, resident_bytes: int) -> None:
        """The run goes on."""
        if self._live:
            self._write(f"\r{self._line(seconds, resident_bytes)}\x1b[K")

    def finish(self, result: RunResult) -> None:
        """The run has ended."""
        if result.error is not None:
            self._say(f"{self._label}: failed: {result.error}")
        elif not self._live:
            self._say(self._line(result.seconds, result.peak_bytes) + " at most")

    def clear(self) -> None:
        """Leaves an empty line for what follows."""
        if self._live:
            self._write("\r\x1b[K")

    def _line(self, seconds: float, resident_bytes: int) -> str:
        return f"{self._label}: {seconds:.1f} s, {resident_bytes / MEGABYTE:,.0f} MiB"

    def _say(self, line: str) -> None:
        self.clear()
        self._write(line + "\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
