"""Fixtures for every test that puts a real process on libtrimalloc.so."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.library import library_path
from support.preload import Preload
from support.programs import Programs
from support.pythons import SUPPORTED, find_python


@pytest.fixture(scope="session", autouse=True)
def no_core_dumps() -> Iterator[None]:
    """Programs that must abort would otherwise leave a core file each."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> Iterator[None]:
    """A shell starts background jobs with some signals ignored, and programs inherit that.

    CPython's own tests send themselves SIGINT and count on its default.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGQUIT, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, interrupt)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM to pytest unwinds it as Ctrl-C does, so that the program under test ends with it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def library() -> Path:
    """The libtrimalloc.so under test. Missing is a failure: a skip would hide an untested build."""
    path = library_path()
    if not path.exists():
        pytest.fail(f"{path} does not exist: build it (make engine) or set TRIMALLOC_LIBRARY")
    return path


@pytest.fixture(scope="session")
def preload(library: Path) -> Preload:
    """Runs programs with the library preloaded and no settings."""
    return Preload(library, {})


@pytest.fixture(scope="session", params=["thread", "cpu"])
def each_preload(request: pytest.FixtureRequest, library: Path) -> Preload:
    """The same with caches of threads and with those of processors, each with its own library."""
    path = library.parent / "cpu" / library.name if request.param == "cpu" else library
    return Preload(path, {"TRIMALLOC_CACHES": request.param})


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Compiles C and C++ programs."""
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session", params=SUPPORTED)
def any_python(request: pytest.FixtureRequest) -> Path:
    """Each supported Python in turn; one that this machine lacks is skipped by name."""
    python = find_python(request.param)
    if python is None:
        pytest.skip(f"no CPython {request.param} with its test package under pyenv or in PATH")
    return python


@pytest.fixture(scope="session", params=["full", "arena"])
def python_preload(request: pytest.FixtureRequest, preload: Preload) -> Preload:
    """The preload in each mode that serves a Python process."""
    return preload.with_settings(mode=request.param)
