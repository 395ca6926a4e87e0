"""A server under an allocator, on a unix socket: started, asked for its figures, stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from bench.allocators import Allocator
from bench.bindings import malloc_library, over_linked_allocator
from bench.child import ChildFailedError
from bench.python.harness import status_kib

START_SECONDS = 20.0  # how long a server may take until it answers
STOP_SECONDS = 20.0

_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A running server; the `with` block ends it."""

    def __init__(
        self, program: Path, arguments: tuple[str, ...], folder: Path, allocator: Allocator
    ) -> None:
        self.socket = folder / "socket"
        self._program = program
        self._allocator = over_linked_allocator(allocator, program)
        self._environment = self._allocator.environment(os.environ)
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(program), *arguments],
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Server:
        """Waits until it answers."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self._require_alive()
            try:
                self.connect().close()
            except OSError:
                time.sleep(0.02)
                continue
            return self
        self._process.kill()
        raise ChildFailedError(f"{self._program} does not answer{self._last_lines()}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends it, also where it does not listen."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def connect(self) -> socket.socket:
        """A new connection."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(str(self.socket))
        except OSError:
            made.close()
            raise
        return made

    def cpu_seconds(self) -> float:
        """Processor time of all its threads so far."""
        self._require_alive()
        text = Path(f"/proc/{self._process.pid}/stat").read_text()
        # The name, in parentheses, may hold anything; utime and stime are the 14th and 15th field.
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS

    def memory_kib(self, field: str) -> int:
        """VmRSS or VmHWM."""
        self._require_alive()
        return status_kib(field, str(self._process.pid))

    def check(self) -> None:
        """Raises WrongAllocatorError unless this process is served by the allocator."""
        self._require_alive()
        lines = Path(f"/proc/{self._process.pid}/maps").read_text().splitlines()
        mapped = [line.split(maxsplit=5)[-1] for line in lines if "/" in line]
        malloc = malloc_library(self._program, self._environment)
        self._allocator.check({"malloc": malloc, "mapped": mapped})

    def _require_alive(self) -> None:
        code = self._process.poll()
        if code is not None:
            what = f"{self._program} under {self._allocator.name} ended with status {code}"
            raise ChildFailedError(f"{what}{self._last_lines()}")

    def _last_lines(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-8:]
        return "".join(f"\n    {line}" for line in lines)
