"""A virtual environment for pyperformance, one for each interpreter, made when it is needed.

A benchmark's own requirements are installed with its first run: what can't be built for a version
of Python costs its row and no other.
"""

from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
from pathlib import Path

from bench.child import SkippedError
from bench.compile import BINARIES
from bench.machine import version_of
from bench.pyperformance.benchmarks import VERSION, Benchmark


@functools.cache
def environment(python: Path) -> Path:
    """The interpreter of the environment, with pyperformance installed."""
    # Several builds of one version are told apart by their path.
    mark = hashlib.sha256(str(python).encode()).hexdigest()[:8]
    folder = BINARIES / "pyperformance" / f"{version_of(python)}-{mark}"
    own = folder / "bin" / "python"
    ready = folder / f"ready-{VERSION}"
    if not ready.exists():
        _say(f"making an environment for pyperformance {VERSION} in {folder}")
        _run([str(python), "-m", "venv", "--clear", str(folder)])
        _install(own, f"pyperformance=={VERSION}", "setuptools")
        ready.touch()
    return own


@functools.cache
def script(python: Path, benchmark: Benchmark) -> Path:
    """The benchmark's program, its requirements installed; `python` is the environment's."""
    code = "import pyperformance; print(pyperformance.__path__[0])"
    package = Path(_run([str(python), "-I", "-c", code]).strip())
    folder = package / "data-files" / "benchmarks" / f"bm_{benchmark.script}"
    required = folder / "requirements.txt"
    ready = python.parent.parent / f"ready-{benchmark.script}"
    if required.exists() and not ready.exists():
        _say(f"installing what {benchmark.name} requires")
        _install(python, "-r", str(required))
        ready.touch()
    return folder / "run_benchmark.py"


def _install(python: Path, *what: str) -> None:
    _run([str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", *what])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        wrong = [line for line in done.stderr.splitlines() if line.lower().startswith("error")]
        last = (wrong or done.stderr.splitlines() or ["no reason given"])[-1]
        raise SkippedError(f"{' '.join(command[1:])}: {last}")
    return done.stdout


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
