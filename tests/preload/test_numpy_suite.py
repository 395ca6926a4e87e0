"""NumPy's core tests of memory policy, arrays and indexing under preload, in both modes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.preload import Preload, clean_environment
from support.pythons import find_python

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trimalloc-tests"

# test_mem_policy compiles a C module: NumPy's own way to prove that a data handler is in use.
_REQUIREMENTS = ["numpy==2.2.6", "pytest", "hypothesis", "setuptools", "meson", "ninja"]
_FILES = ["test_mem_policy.py", "test_multiarray.py", "test_indexing.py", "test_shape_base.py"]
# Ask for gigabytes, or spend half a minute in BLAS and none in malloc.
_NOT = "not (requires_memory or large or huge_vectordot)"


@pytest.fixture(scope="session")
def numpy_python() -> Path:
    """An interpreter of a virtual environment with NumPy, made once and kept between sessions."""
    python = find_python("3.12") or find_python("3.11")
    if python is None:
        pytest.skip("neither CPython 3.11 nor 3.12 is at hand")
    home = _CACHE / f"numpy-{python.name}"
    inside = home / "bin" / "python"
    if not (home / "complete").exists():
        subprocess.run([str(python), "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(inside), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        install = [*pip, *_REQUIREMENTS]
        installed = subprocess.run(
            install, env=clean_environment(), capture_output=True, text=True, check=False
        )
        if installed.returncode != 0:
            pytest.skip(f"cannot install NumPy: {installed.stderr.strip().splitlines()[-1]}")
        (home / "complete").touch()
    return inside


@pytest.mark.slow
@pytest.mark.parametrize("file", _FILES)
def test_core(file: str, numpy_python: Path, python_preload: Preload, tmp_path: Path) -> None:
    locate = [str(numpy_python), "-c", "import numpy; print(numpy.__path__[0])"]
    package = subprocess.run(locate, capture_output=True, text=True, check=True).stdout.strip()
    # NumPy's configuration lies beside its package; ours must not be found from the temporary one.
    options = ["-q", "-x", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path)]
    search = os.pathsep.join([str(numpy_python.parent), os.environ["PATH"]])
    outcome = python_preload.run(
        numpy_python,
        *["-m", "pytest", *options, "-k", _NOT, f"{package}/_core/tests/{file}"],
        timeout=400,
        environment={"PATH": search},
        directory=tmp_path,
    )
    outcome.assert_success()
    assert " passed" in outcome.stdout, outcome.describe()
