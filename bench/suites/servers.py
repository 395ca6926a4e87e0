"""Real servers under load: redis-server with redis-benchmark, and memcached as a control.

The client runs without any allocator on the other cores; the server's memory and processor time are
read from /proc while it runs.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.allocators import Allocator
from bench.child import SkippedError
from bench.servers import memcached, redis
from bench.servers.server import Server
from bench.suites.base import Metric, Program, Settings, Suite

METRICS = (
    Metric("us", "time per request", "us"),
    Metric("server_us", "processor time of the server per request", "us"),
    Metric("hwm_kib", "peak resident memory", "MiB", 1024),
    Metric("rss_kib", "resident memory after the load", "MiB", 1024),
    Metric("idle_kib", "resident memory 2 s after everything was dropped", "MiB", 1024),
)

IDLE_SECONDS = 2.0


def _measure_redis(scenario: redis.Scenario, allocator: Allocator) -> dict[str, float]:
    server, client = _programs(redis.PROGRAMS, redis.PACKAGES)
    with _started(server, redis.arguments, allocator) as running:
        figures = redis.run(scenario, running, client)
        return _metrics(running, figures, redis.empty)


def _measure_memcached(allocator: Allocator) -> dict[str, float]:
    (server,) = _programs(memcached.PROGRAMS, memcached.PACKAGES)
    with _started(server, memcached.arguments, allocator) as running:
        return _metrics(running, memcached.run(running), memcached.empty)


def _metrics(
    server: Server, figures: tuple[int, float, float], empty: Callable[[Server], None]
) -> dict[str, float]:
    requests, seconds, cpu = figures
    metrics = {
        "us": seconds / requests * 1e6,
        "server_us": cpu / requests * 1e6,
        "hwm_kib": float(server.memory_kib("VmHWM")),
        "rss_kib": float(server.memory_kib("VmRSS")),
    }
    empty(server)
    time.sleep(IDLE_SECONDS)
    metrics["idle_kib"] = float(server.memory_kib("VmRSS"))
    server.check()
    return metrics


@contextmanager
def _started(
    program: Path, arguments: Callable[[Path], tuple[str, ...]], allocator: Allocator
) -> Iterator[Server]:
    # A socket's path is at most 107 characters long: not below the checkout.
    with tempfile.TemporaryDirectory(prefix="bench-") as text:
        folder = Path(text)
        with Server(program, arguments(folder), folder, allocator) as server:
            yield server


def _programs(names: Sequence[str], packages: str) -> list[Path]:
    found = []
    for name in names:
        path = shutil.which(name)
        if path is None:
            raise SkippedError(f"{name} is missing: apt install {packages}")
        found.append(Path(path))  # not resolved: redis-server is one program of many names
    return found


def make_suite(_: Settings) -> Suite:
    """Redis's rows, then the control."""
    programs = [
        Program(scenario.name, functools.partial(_measure_redis, scenario))
        for scenario in redis.SCENARIOS
    ]
    programs.append(Program("memcached", _measure_memcached))
    return Suite("servers", tuple(programs), METRICS, native=True, rounds=3)
