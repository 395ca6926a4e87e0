"""The package on the other CPython versions of this machine: built and tested for each.

Each version has an environment of its own under build/pythons, made once; the extensions are built
anew, over the engine's libraries that are there (`make engine`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.pythons import SUPPORTED, find_python

ROOT = Path(__file__).parents[2]
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
# What does not depend on the interpreter's version, or starts builds of its own.
LEFT_OUT = (
    "test_docs.py",
    "test_bench.py",
    "test_layers.py",
    "test_example_service.py",
    "test_proofs.py",
)
NEEDED = ("scikit-build-core>=0.10", "nanobind>=2.2", "cmake>=3.26", "ninja>=1.11", "pytest>=8")
NEEDED_BY_TESTS = ("hypothesis>=6.100", "numpy")


def run(*words: str | Path, **variables: str) -> None:
    """Runs a command to its end; its output is the failure's message."""
    command = [str(word) for word in words]
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("version", [version for version in SUPPORTED if version != THIS])
def test_the_package_works_on(version: str, library: Path) -> None:
    interpreter = find_python(version)
    if interpreter is None:
        pytest.skip(f"no CPython {version} on this machine")
    environment = ROOT / "build" / "pythons" / version
    python = environment / "bin" / "python"
    if not python.exists():
        run(interpreter, "-m", "venv", environment)
    pip = (python, "-m", "pip", "--disable-pip-version-check", "-q", "install")
    run(*pip, *NEEDED, *NEEDED_BY_TESTS)
    binaries = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    run(
        *pip,
        *("--no-build-isolation", "--no-deps", "--force-reinstall"),
        f"--config-settings=build-dir=build/pythons/{version}/build",
        f"--config-settings=cmake.define.TRIMALLOC_ENGINE={library.parent}",
        ROOT,
        PATH=binaries,
    )
    tests = ROOT / "tests" / "python"
    left_out = [f"--ignore={tests / name}" for name in (*LEFT_OUT, Path(__file__).name, "compare")]
    run(
        python, "-m", "pytest", "-q", "-m", "not slow and not stress and not wide", *left_out, tests
    )
