"""multiprocessing by the start method given, and subprocess, from a process with busy threads."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading


def work(seed: int) -> int:
    """Allocate across sizes and return something that depends on it."""
    table = {i: bytes(i % 3000) for i in range(seed, seed + 5000)}
    return sum(map(len, table.values())) - sum(i % 3000 for i in range(seed, seed + 5000))


def churn(stop: threading.Event) -> None:
    """Keep a thread inside the allocator."""
    while not stop.is_set():
        [bytearray(n * 100) for n in range(200)]


def main(method: str) -> None:
    """Run pools and child processes beside two churning threads."""
    stop = threading.Event()
    threads = [threading.Thread(target=churn, args=(stop,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    context = multiprocessing.get_context(method)
    for _ in range(2):
        with context.Pool(3) as pool:
            assert pool.map(work, range(30)) == [0] * 30
    with context.Pool(2) as pool:
        assert pool.map(len, [b"x" * 5_000_000] * 4) == [5_000_000] * 4
    for _ in range(10):
        text = subprocess.run(["echo", "word"], capture_output=True, check=True).stdout
        assert text == b"word\n"
    stop.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
