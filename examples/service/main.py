"""Runs the service, drives it through warm-up, burst and quiet, and stops.

The server is this process; the client is a child process. Phases and figures go to the file that
TRIMALLOC_COMPARE_REPORT names, when ``trimalloc compare`` runs this, and to stdout otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from pathlib import Path

import uvicorn
from app import app

# What changes how a process allocates. The client runs without it: the same client for every
# allocator, whose speed is no part of the figures.
ALLOCATOR_VARIABLES = ("LD_PRELOAD", "PYTHONMALLOC", "MALLOC_ARENA_MAX")
QUIET_SECONDS = 2.0
# The watcher samples every 50 ms; the quiet lasts a little longer than it watches.
MARGIN_SECONDS = 0.3


def resident_mebibytes() -> float:
    """This process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class Reporter:
    """Passes on what the client and this process have to say."""

    def __init__(self) -> None:
        self._path = os.environ.get("TRIMALLOC_COMPARE_REPORT")
        self._begun = time.monotonic()

    def say(self, entry: dict[str, object]) -> None:
        """One line of the report."""
        if self._path is not None:
            with Path(self._path).open("a", encoding="utf-8") as report:
                report.write(json.dumps(entry) + "\n")
            return
        shown = {name: value for name, value in entry.items() if name != "time"}
        seconds = time.monotonic() - self._begun
        print(f"{seconds:5.2f} s {resident_mebibytes():6.0f} MiB  {json.dumps(shown)}", flush=True)


def listen() -> socket.socket:
    """A socket on a free port of the loopback interface."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    return listener


async def drive(url: str, args: argparse.Namespace, reporter: Reporter) -> int:
    """Runs the client to its end, passing its lines on; returns its exit status."""
    plain = {name: value for name, value in os.environ.items() if name not in ALLOCATOR_VARIABLES}
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("load.py")),
        *("--url", url, "--requests", str(args.requests), "--users", str(args.users)),
        *("--seed", str(args.seed)),
        stdout=asyncio.subprocess.PIPE,
        env=plain,
    )
    reporter.say({"not_counted": client.pid})
    try:
        assert client.stdout is not None
        async for line in client.stdout:
            reporter.say(json.loads(line))
        return await client.wait()
    finally:
        if client.returncode is None:
            client.kill()


async def serve(args: argparse.Namespace) -> int:
    """Server and client side by side, then the quiet."""
    reporter = Reporter()
    listener = listen()
    url = "http://{}:{}".format(*listener.getsockname())
    config = uvicorn.Config(app, log_level="warning", access_log=False, http="h11", loop="asyncio")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    try:
        status = await drive(url, args, reporter)
        await asyncio.sleep(args.seconds_quiet + MARGIN_SECONDS)
        reporter.say({"phase": "exit"})
    finally:
        server.should_exit = True
        await serving
    return status


def main() -> int:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--requests", type=int, default=1600, help="in the burst (default: %(default)s, about 3 s)"
    )
    parser.add_argument("--users", type=int, default=32, help="at once (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the load (default: %(default)s)")
    parser.add_argument(
        "--seconds-quiet",
        type=float,
        default=float(os.environ.get("TRIMALLOC_COMPARE_IDLE", QUIET_SECONDS)),
        help="after the burst (default: what trimalloc compare asks for, or 2)",
    )
    return asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
