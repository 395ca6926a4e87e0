"""A program that runs on trimalloc while others look at it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

HOLD = "kept = bytearray(b'x') * 50_000_000; print('ready', flush=True); input()"


@pytest.fixture
def running() -> Iterator[subprocess.Popen[str]]:
    """A Python process that holds 50 MB on trimalloc, until its standard input is closed."""
    with subprocess.Popen(
        [sys.executable, "-m", "trimalloc", "run", "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()
