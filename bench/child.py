"""Starts one measured process and reads the line of JSON that it prints."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.allocators import ROOT, Allocator


class ChildFailedError(RuntimeError):
    """The process crashed, ran too long, or printed no result."""


class SkippedError(RuntimeError):
    """The process said that it can't run here, and why."""


@dataclass(frozen=True)
class Command:
    """How a measured process is started."""

    argv: tuple[str, ...]
    timeout_seconds: float = 300.0
    folder: Path = ROOT


def run(command: Command, allocator: Allocator) -> dict[str, float]:
    """The metrics of one run, after its own proof that the allocator was in use."""
    result = run_for_line(command, allocator)
    if "skipped" in result:
        raise SkippedError(str(result["skipped"]))
    allocator.check(result["proof"])
    return {name: float(value) for name, value in result["metrics"].items()}


def run_for_line(command: Command, allocator: Allocator) -> dict[str, Any]:
    """The line of one run as it is, its proof not checked yet."""
    what = f"{' '.join(command.argv)} under {allocator.name}"
    try:
        done = subprocess.run(
            command.argv,
            env=allocator.environment(os.environ),
            cwd=command.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=command.timeout_seconds,
        )
    except subprocess.TimeoutExpired:
        raise ChildFailedError(f"{what}: no end after {command.timeout_seconds:.0f} s") from None
    if done.returncode != 0:
        raise ChildFailedError(f"{what}: {_status(done.returncode)}\n{_tail(done.stderr)}")
    try:
        line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise ChildFailedError(f"{what}: no result line\n{_tail(done.stdout)}") from None
    return line


def _status(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}"


def _tail(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-8:])
