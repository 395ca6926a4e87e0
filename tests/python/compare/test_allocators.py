"""Discovery of allocators, on a made-up file system, and the environments of their runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimalloc.comparison import allocators
from trimalloc.comparison.allocators import Allocator
from trimalloc.comparison.command import Interpreter

CPYTHON_312 = Interpreter("/usr/bin/python3", "3.12.1", has_mimalloc=False)
CPYTHON_313 = Interpreter("/usr/bin/python3", "3.13.0", has_mimalloc=True)
FREE_THREADED = Interpreter("/usr/bin/python3t", "3.13.0", has_mimalloc=True, free_threaded=True)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that has libtrimalloc.so."""
    path = tmp_path / "package" / "libtrimalloc.so"
    path.parent.mkdir()
    path.touch()
    monkeypatch.setattr(allocators, "library_path", lambda: str(path))
    return path


def put(root: Path, file: str) -> Path:
    """An empty library in the made-up file system."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(found: list[Allocator]) -> list[str]:
    return [allocator.name for allocator in found]


def test_finds_what_the_machine_has(tmp_path: Path, library: Path) -> None:
    jemalloc = put(tmp_path, "usr/lib/x86_64-linux-gnu/libjemalloc.so.2")
    directories = allocators.library_directories({}, root=tmp_path, prefix=str(tmp_path / "venv"))
    found, missing = allocators.discover(CPYTHON_312, directories)
    assert names(found) == [
        "trimalloc-full",
        "trimalloc-arena",
        "glibc",
        "glibc-2-arenas",
        "jemalloc",
    ]
    assert found[0].library == library
    assert found[-1].library == jemalloc
    assert {one.name: one.remedy for one in missing} == {
        "tcmalloc": "apt install libtcmalloc-minimal4",
        "mimalloc": "apt install libmimalloc2.0",
        "python-mimalloc": "needs CPython 3.13 or later; the command runs on 3.12.1",
    }


def test_without_our_library_both_modes_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> str:
        raise FileNotFoundError("not built")

    monkeypatch.setattr(allocators, "library_path", absent)
    found, missing = allocators.discover(None, [])
    assert names(found) == ["glibc", "glibc-2-arenas"]
    assert [one.remedy for one in missing if one.name.startswith("trimalloc")] == ["not built"] * 2


@pytest.mark.usefixtures("library")
def test_cpython_with_mimalloc_gets_it() -> None:
    found, _ = allocators.discover(CPYTHON_313, [])
    assert found[-1].variables == {"PYTHONMALLOC": "mimalloc"}


def test_free_threaded_cpython_keeps_its_objects(library: Path) -> None:
    found, _ = allocators.discover(FREE_THREADED, [])
    assert [one.mode for one in found if one.library == library] == ["malloc"]


def test_users_library_path_comes_first(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/libmimalloc.so.2")
    own = put(tmp_path, "own/libmimalloc.so.2")
    directories = allocators.library_directories(
        {"LD_LIBRARY_PATH": str(own.parent)}, root=tmp_path, prefix="/nowhere"
    )
    assert allocators.find_library(("libmimalloc.so.2",), directories) == own


def test_links_are_resolved_as_maps_show_them(tmp_path: Path) -> None:
    real = put(tmp_path, "libtcmalloc_minimal.so.4.5.10")
    link = tmp_path / "libtcmalloc_minimal.so.4"
    link.symlink_to(real)
    assert allocators.find_library((link.name,), [tmp_path]) == real


@pytest.mark.usefixtures("library")
class TestSelection:
    def test_glibc_and_both_modes_stay(self) -> None:
        found, missing = allocators.discover(CPYTHON_312, [])
        kept, absent = allocators.select(["jemalloc"], found, missing)
        assert names(kept) == ["trimalloc-full", "trimalloc-arena", "glibc"]
        assert [one.name for one in absent] == ["jemalloc"]

    def test_a_mode_alone(self) -> None:
        found, missing = allocators.discover(CPYTHON_312, [])
        kept, _ = allocators.select(["trimalloc-arena"], found, missing)
        assert names(kept) == ["trimalloc-arena", "glibc"]

    def test_a_build_of_ones_own(self, tmp_path: Path) -> None:
        own = put(tmp_path, "build/libjemalloc.so.5")
        found, missing = allocators.discover(CPYTHON_312, [])
        kept, _ = allocators.select([f"je-dev={own}"], found, missing)
        assert kept[-1] == Allocator("je-dev", own)

    @pytest.mark.parametrize("name", ["jmalloc", "own=/no/such/library.so", "=/lib"])
    def test_a_name_that_means_nothing_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"unknown allocator|no such library"):
            allocators.select([name], [], [])


class TestEnvironment:
    BASE = {  # noqa: RUF012
        "PATH": "/bin",
        "LD_PRELOAD": "/lib/libjemalloc.so.2:/lib/libother.so",
        "MALLOC_ARENA_MAX": "1",
        "PYTHONMALLOC": "malloc",
        "TRIMALLOC_LIMIT": "1G",
    }

    def test_baseline_has_no_allocator(self) -> None:
        environment = allocators.environment_for(Allocator("glibc"), self.BASE)
        assert environment == {"PATH": "/bin", "LD_PRELOAD": "/lib/libother.so"}

    def test_peer_is_preloaded_before_what_was_there(self) -> None:
        peer = Allocator("mimalloc", Path("/lib/libmimalloc.so.2"))
        environment = allocators.environment_for(peer, self.BASE)
        assert environment["LD_PRELOAD"] == "/lib/libmimalloc.so.2:/lib/libother.so"
        assert "PYTHONMALLOC" not in environment

    def test_ours_keeps_the_users_settings(self) -> None:
        ours = Allocator("trimalloc-arena", Path("/lib/libtrimalloc.so"), mode="arena")
        environment = allocators.environment_for(ours, self.BASE)
        assert environment["LD_PRELOAD"] == "/lib/libtrimalloc.so:/lib/libother.so"
        assert environment["TRIMALLOC_MODE"] == "arena"
        assert environment["TRIMALLOC_LIMIT"] == "1G"
