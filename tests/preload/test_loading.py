"""Allocation at the edges: while libraries are loaded, before main, and after it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs, cases_in

PROGRAMS = Path(__file__).parent / "programs"
LOADING = PROGRAMS / "loading.c"
LIFETIME = PROGRAMS / "lifetime.c"
FORK_HANDLERS = "fork_handlers_of_a_preloaded_library"


@pytest.fixture(scope="session")
def loaded(programs: Programs) -> Path:
    """The library that allocates in its constructor."""
    return programs.build(PROGRAMS / "loaded.c", ["-shared", "-fPIC"])


@pytest.mark.parametrize("case", cases_in(LOADING))
def test_loading(case: str, loaded: Path, preload: Preload, programs: Programs) -> None:
    environment = {"LOADED_PLUGIN": str(loaded)}
    preload.run(programs.build(LOADING), case, environment=environment).assert_clean()


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("case", [FORK_HANDLERS, "nothing_special"])
def test_with_another_preloaded_library(
    case: str, order: str, loaded: Path, preload: Preload, programs: Programs
) -> None:
    """Its constructor allocates, and registers fork handlers, before or after ours runs."""
    words = [preload.library, loaded] if order == "after" else [loaded, preload.library]
    environment = {
        "LD_PRELOAD": ":".join(str(word) for word in words),
        "LOADED_FORK_HANDLERS": "1",
    }
    preload.run(programs.build(LOADING), case, environment=environment).assert_clean()


@pytest.mark.parametrize("binding", ["lazy", "now"])
@pytest.mark.parametrize("case", cases_in(LIFETIME))
def test_lifetime(case: str, binding: str, preload: Preload, programs: Programs) -> None:
    """Lazy binding looks malloc up at the first call; the other way it is found before main."""
    environment = {"OLDER_THAN_MAIN": "yes"}
    if binding == "now":
        environment["LD_BIND_NOW"] = "1"
    program = programs.build(LIFETIME, ["-Wl,-z,lazy"])
    preload.run(program, case, environment=environment).assert_clean()


@pytest.mark.xfail(
    strict=True,
    reason="ld.so copies the initial images of thread-local variables after it ran the resolvers",
)
def test_malloc_in_a_resolver(preload: Preload, programs: Programs) -> None:
    preload.run(programs.build(PROGRAMS / "resolver.c", ["-Wl,-z,lazy"])).assert_clean()


def test_a_libc_block_reaches_our_free(loaded: Path, preload: Preload, programs: Programs) -> None:
    """With RTLD_DEEPBIND libc's blocks can reach us: freed or refused by name, never corrupted."""
    program = programs.build(PROGRAMS / "libc_block.c")
    outcome = preload.run(program, environment={"LOADED_PLUGIN": str(loaded)})
    if outcome.returncode:
        assert outcome.signal is signal.SIGABRT, outcome.describe()
        assert "which trimalloc did not allocate" in outcome.stderr, outcome.describe()
        assert len(outcome.stderr.splitlines()) == 1, outcome.describe()
