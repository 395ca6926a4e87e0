"""redis-server under redis-benchmark, pipelined, on a unix socket.

Debian's redis-server is linked to libjemalloc.so.2 and calls it by its plain names, so a preloaded
allocator takes the place of malloc and free in it. What stays jemalloc's is mallctl, which then
speaks of a heap that nobody uses: defragmentation does nothing, and redis's own purging neither.
The row of `jemalloc` is redis as it is shipped, the row of `glibc` has libc itself preloaded.
"""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.child import ChildFailedError
from bench.servers.server import Server

PROGRAMS = ("redis-server", "redis-benchmark")
PACKAGES = "redis-server redis-tools"

PIPELINED = 16
CONNECTIONS = 20
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Load:
    """One run of redis-benchmark."""

    test: str
    value_bytes: int
    requests: int
    keys: int


@dataclass(frozen=True)
class Scenario:
    """What a row does: loads that come first, and loads that are timed."""

    name: str
    timed: tuple[Load, ...]
    before: tuple[Load, ...] = ()


_FILL = Load("set", 64, 600_000, 300_000)

SCENARIOS = (
    Scenario("redis SET", (_FILL, _FILL)),
    Scenario("redis GET", (Load("get", 64, 1_200_000, 300_000),), before=(_FILL,)),
    Scenario("redis LPUSH", (Load("lpush", 64, 1_200_000, 1),)),
    Scenario("redis SET 1 KiB", (Load("set", 1024, 400_000, 100_000),)),
    # The same keys with values that grow and shrink: what was freed fits nothing that comes.
    Scenario(
        "redis SET changing sizes",
        tuple(Load("set", size, 250_000, 100_000) for size in (48, 700, 120, 1500, 24, 300)),
    ),
)


def arguments(folder: Path) -> tuple[str, ...]:
    """Nothing on disk, no port: only the socket."""
    settings = {
        "--port": "0",
        "--unixsocket": str(folder / "socket"),
        "--dir": str(folder),
        "--save": "",
        "--appendonly": "no",
        "--daemonize": "no",
        "--loglevel": "warning",
    }
    return tuple(part for setting in settings.items() for part in setting)


def run(scenario: Scenario, server: Server, client: Path) -> tuple[int, float, float]:
    """Requests that were timed, the seconds that they took, and the server's processor time."""
    for load in scenario.before:
        _benchmark(load, server, client)
    cpu = server.cpu_seconds()
    seconds = sum(load.requests / _benchmark(load, server, client) for load in scenario.timed)
    return sum(load.requests for load in scenario.timed), seconds, server.cpu_seconds() - cpu


def empty(server: Server) -> None:
    """Drops all keys, and returns when they are gone."""
    with server.connect() as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.sendall(b"FLUSHALL SYNC\r\n")
        answer = connection.recv(64)
    if answer != b"+OK\r\n":
        raise ChildFailedError(f"FLUSHALL: {answer!r}")


def _benchmark(load: Load, server: Server, client: Path) -> float:
    """Requests per second."""
    command = [str(client), "-s", str(server.socket), "--csv", "-t", load.test]
    command += ["-P", str(PIPELINED), "-c", str(CONNECTIONS), "-n", str(load.requests)]
    command += ["-d", str(load.value_bytes), "-r", str(load.keys)]
    # The client runs on libc's malloc in every row.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    if done.returncode != 0:
        raise ChildFailedError(f"{' '.join(command)}: {done.stderr.strip()}")
    return requests_per_second(done.stdout.splitlines(), load.test)


def requests_per_second(lines: Iterable[str], test: str) -> float:
    """The figure of a test in redis-benchmark's table."""
    for row in csv.reader(lines):
        if row and row[0].lower().startswith(test):
            return float(row[1])
    raise ChildFailedError(f"redis-benchmark printed nothing on {test}")
