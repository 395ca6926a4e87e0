"""CPython's own tests of what stresses memory, on every Python at hand, in both modes.

The modules pass on plain glibc on each of these versions; those that a version lacks are left out.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.preload import Preload

# About 20 seconds for each Python and mode.
MODULES = (
    "test_list test_dict test_bytes test_array test_gc test_memoryview test_memoryio "
    "test_set test_deque test_tuple test_unicode test_str test_thread "
    "test_threading_local test_fork1 test_mmap test_json test_generators test_coroutines "
    "test_frame test_itertools test_zlib test_ordered_dict test_sort test_exceptions "
    "test_weakref test_ctypes test_sqlite3 test_struct"
)

# Minutes for each: part of the storms.
LONG_MODULES = (
    "test_io test_subprocess test_concurrent_futures test_pickle test_decimal test_long "
    "test_re test_faulthandler test_lzma test_bz2 test_capi test_buffer test_threading "
    "test_os test_multiprocessing_fork test_multiprocessing_spawn "
    "test_multiprocessing_forkserver"
)

# Fail on plain glibc too, on these pyenv builds.
FAILING_ANYWAY = {
    "3.11": {"test_buffer", "test_threading", "test_concurrent_futures"},
    "3.10": {"test_capi"},
    "3.12": {"test_concurrent_futures"},
}

# Deadlocks now and then on plain glibc as well: the feeder of the call queue wants the executor's
# shutdown lock, whose holder waits for the feeder (join_executor_internals in 3.13).
DEADLOCKS_ANYWAY = "*test_shutdown_deadlock_pickle*"


def present(python: Path, modules: str) -> list[str]:
    """Return those of `modules` that this Python has and that pass there on plain glibc."""
    probe = (
        "import importlib.util as u, sys; "
        "print(*[m for m in sys.argv[1:] if u.find_spec('test.' + m)])"
    )
    command = [str(python), "-c", probe, *modules.split()]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    version = python.name.removeprefix("python")
    return [module for module in found if module not in FAILING_ANYWAY.get(version, ())]


def run_modules(python: Path, preload: Preload, modules: str, directory: Path) -> None:
    """Run the modules in one regrtest, which forks, threads and leaks as CPython's CI does."""
    chosen = present(python, modules)
    assert len(chosen) >= len(modules.split()) // 2
    options = ["-m", "test", "-q", "--timeout=300", "--ignore", DEADLOCKS_ANYWAY]
    outcome = preload.run(python, *options, *chosen, timeout=1500, directory=directory)
    outcome.assert_success()


@pytest.mark.slow
def test_modules(any_python: Path, python_preload: Preload, tmp_path: Path) -> None:
    run_modules(any_python, python_preload, MODULES, tmp_path)


@pytest.mark.stress
def test_long_modules(any_python: Path, python_preload: Preload, tmp_path: Path) -> None:
    run_modules(any_python, python_preload, LONG_MODULES, tmp_path)
