"""memcached as a control: it cuts values out of slabs of its own; allocators should hardly differ.

The client is Python, with all requests made before the clock starts; it is slower than the server,
so `server_us` says more than `us`.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Sequence
from pathlib import Path

from bench.child import ChildFailedError
from bench.servers.server import Server

PROGRAMS = ("memcached",)
PACKAGES = "memcached"

KEYS = 150_000
ROUNDS_OF_GETS = 4
KEYS_PER_REQUEST = 50
MEMORY_MIB = 256
TIMEOUT_SECONDS = 120
RECEIVE_BYTES = 1 << 18


def arguments(folder: Path) -> tuple[str, ...]:
    """Two worker threads, a fixed limit, only the socket."""
    user = ("-u", pwd.getpwuid(os.geteuid()).pw_name) if os.geteuid() == 0 else ()
    return ("-s", str(folder / "socket"), "-m", str(MEMORY_MIB), "-t", "2", *user)


def run(server: Server) -> tuple[int, float, float]:
    """Requests that were timed, the seconds that they took, and the server's processor time."""
    sets = [
        f"set key:{i} 0 0 {size}\r\n{'v' * size}\r\n".encode()
        for i, size in ((i, 20 + i * 7919 % 1000) for i in range(KEYS))
    ]
    order = [f"key:{i * 31 % KEYS}" for i in range(KEYS)]
    gets = [
        f"get {' '.join(order[at : at + KEYS_PER_REQUEST])}\r\n".encode()
        for at in range(0, KEYS, KEYS_PER_REQUEST)
    ]
    cpu, start = server.cpu_seconds(), time.perf_counter()
    _exchange(server, [b"".join(sets[at : at + 100]) for at in range(0, KEYS, 100)], b"STORED", 100)
    for _ in range(ROUNDS_OF_GETS):
        _exchange(server, gets, b"END", 1)
    seconds, cpu = time.perf_counter() - start, server.cpu_seconds() - cpu
    return KEYS * (1 + ROUNDS_OF_GETS), seconds, cpu


def empty(server: Server) -> None:
    """Forgets all values; memcached keeps its slabs."""
    _exchange(server, [b"flush_all\r\n"], b"OK", 1)


def _exchange(server: Server, requests: Sequence[bytes], answer: bytes, answers: int) -> None:
    """Sends requests one by one, each of which is over when so many answers of a kind are there."""
    with server.connect() as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        for request in requests:
            connection.sendall(request)
            missing, tail = answers, b""
            while missing > 0:
                got = connection.recv(RECEIVE_BYTES)
                if not got or b"ERROR" in got:
                    raise ChildFailedError(f"memcached answered {got[:80]!r}")
                text = tail + got
                missing -= text.count(answer + b"\r\n")
                # An answer may be cut in two; what is kept is too short to hold a whole one.
                tail = text[-len(answer) - 1 :]
