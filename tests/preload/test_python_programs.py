"""Whole Python programs, unmodified, in both modes and on every Python at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.preload import Preload

SCRIPTS = Path(__file__).parent / "scripts"
PLAIN = "import sys; sys.exit(0)"


@pytest.mark.parametrize("mode", ["full", "arena", "malloc"])
def test_objects_lie_where_the_mode_says(mode: str, any_python: Path, preload: Preload) -> None:
    preload.with_settings(mode=mode).run(any_python, SCRIPTS / "modes.py", mode).assert_clean()


def test_nothing_happens(any_python: Path, python_preload: Preload) -> None:
    python_preload.run(any_python, "-c", PLAIN).assert_clean()


@pytest.mark.parametrize("option", ["-X dev", "-X tracemalloc", "-I", "-X faulthandler"])
def test_interpreter_options(option: str, any_python: Path, python_preload: Preload) -> None:
    """Debug hooks and tracemalloc wrap the allocators that the library has put in place."""
    work = "import json, re; json.loads(json.dumps([list(range(99))] * 999)); re.compile('a|b')"
    python_preload.run(any_python, *option.split(), "-c", work).assert_clean()


@pytest.mark.parametrize("allocator", ["malloc", "pymalloc", "debug", "malloc_debug"])
def test_pythonmalloc_is_respected(
    allocator: str, any_python: Path, python_preload: Preload
) -> None:
    outcome = python_preload.run(
        any_python,
        "-c",
        "x = [bytes(i) for i in range(5000)]; del x",
        environment={"PYTHONMALLOC": allocator},
    )
    outcome.assert_clean()


def test_fork_does_not_warn(any_python: Path, python_preload: Preload) -> None:
    warnings = ["-W", "error::DeprecationWarning"]
    python_preload.run(any_python, *warnings, SCRIPTS / "fork_warning.py").assert_clean()


def test_what_is_dropped_after_fork_goes_back(any_python: Path, python_preload: Preload) -> None:
    python_preload.run(any_python, SCRIPTS / "drop_after_fork.py").assert_clean()


def test_idle_interpreter_gives_back(any_python: Path, python_preload: Preload) -> None:
    python_preload.run(any_python, SCRIPTS / "idle.py").assert_clean()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, any_python: Path, python_preload: Preload) -> None:
    """CPython itself warns here about the script's own threads; the library adds nothing."""
    script = SCRIPTS / "processes.py"
    outcome = python_preload.run(any_python, "-W", "ignore", script, method, timeout=120)
    outcome.assert_clean()


def test_sqlite(any_python: Path, python_preload: Preload) -> None:
    python_preload.run(any_python, SCRIPTS / "database.py").assert_clean()


@pytest.mark.parametrize("megabytes", [300, 1000])
def test_address_space_limit(megabytes: int, any_python: Path, python_preload: Preload) -> None:
    """MemoryError, a message, and an interpreter that goes on."""
    exhaust = (
        "kept = []\n"
        "try:\n"
        "    while True: kept.append(bytearray(5_000_000))\n"
        "except MemoryError:\n"
        "    n = len(kept); kept.clear()\n"
        f"    assert n * 5 > {megabytes} // 4, n\n"
        "assert len([bytes(100) for _ in range(100_000)]) == 100_000\n"
    )
    limits = [f"--as={megabytes << 20}"]
    python_preload.run(any_python, "-c", exhaust, limits=limits).assert_clean()


def test_own_limit_raises_memory_error(any_python: Path, python_preload: Preload) -> None:
    exhaust = (
        "try:\n"
        "    kept = [bytes(10_000) for _ in range(100_000)]\n"
        "except MemoryError:\n"
        "    print('MemoryError')\n"
    )
    outcome = python_preload.with_settings(limit="200M").run(any_python, "-c", exhaust)
    outcome.assert_clean()
    assert outcome.stdout == "MemoryError\n"


def test_subinterpreters(any_python: Path, python_preload: Preload) -> None:
    run_many = (
        "import sys\n"
        "try:\n"
        "    import _interpreters as i\n"
        "except ImportError:\n"
        "    import _xxsubinterpreters as i\n"
        "for _ in range(20):\n"
        "    one = i.create()\n"
        "    i.run_string(one, 'x = [bytes(n) for n in range(2000)]; import json')\n"
        "    i.destroy(one)\n"
    )
    python_preload.run(any_python, "-W", "ignore", "-c", run_many).assert_clean()
