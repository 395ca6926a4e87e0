"""The Python interpreters of this machine that the preload tests can run."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

SUPPORTED = ("3.10", "3.11", "3.12", "3.13")


@cache
def find_python(version: str) -> Path | None:
    """Return an interpreter of `version` that has CPython's test package, or None.

    pyenv's builds come first: they bring the test package, a distribution's often do not.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    on_path = shutil.which(f"python{version}")
    if on_path:
        candidates.append(Path(on_path))
    return next((path for path in candidates if _has_test_package(path)), None)


def _has_test_package(python: Path) -> bool:
    probe = [str(python), "-c", "import test.test_list"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0
