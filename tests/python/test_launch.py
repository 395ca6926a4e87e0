"""The environment that preloads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimalloc.launch import executable_on_path, preload_environment, with_mode

LIBRARY = "/opt/trimalloc/libtrimalloc.so"
OTHER_LIBRARY = "/opt/trimalloc/cpu/libtrimalloc.so"


def test_the_library_comes_first_and_others_stay() -> None:
    environment = preload_environment({"LD_PRELOAD": "/a.so /b.so:/c.so"}, LIBRARY, {})
    assert environment["LD_PRELOAD"] == f"{LIBRARY}:/a.so:/b.so:/c.so"


def test_one_of_our_libraries_is_enough() -> None:
    environment = preload_environment({"LD_PRELOAD": f"/a.so:{LIBRARY}"}, OTHER_LIBRARY, {})
    assert environment["LD_PRELOAD"] == f"{OTHER_LIBRARY}:/a.so"


@given(st.lists(st.sampled_from(["/a.so", "/b.so", LIBRARY, ""]), max_size=6))
def test_doing_it_twice_changes_nothing(names: list[str]) -> None:
    once = preload_environment({"LD_PRELOAD": ":".join(names)}, LIBRARY, {})
    assert preload_environment(once, LIBRARY, {}) == once
    assert once["LD_PRELOAD"].split(":").count(LIBRARY) == 1


@pytest.mark.parametrize("library", ["/my programs/libtrimalloc.so", "/a:b/libtrimalloc.so"])
def test_a_path_that_the_loader_would_split_is_refused(library: str) -> None:
    with pytest.raises(ValueError, match="install trimalloc in a directory without them"):
        preload_environment({}, library, {})


def test_settings_are_added_to_the_environment() -> None:
    environment = preload_environment({"HOME": "/root"}, LIBRARY, {"TRIMALLOC_LIMIT": "1"})
    assert environment == {"HOME": "/root", "LD_PRELOAD": LIBRARY, "TRIMALLOC_LIMIT": "1"}


def test_pythonmalloc_is_the_users_word() -> None:
    settings = with_mode({"TRIMALLOC_MODE": "full"}, {"PYTHONMALLOC": "debug"}, same_python=True)
    assert settings == {"TRIMALLOC_MODE": "malloc"}


def test_a_free_threaded_python_keeps_its_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.abiflags", "t")
    assert with_mode({}, {}, same_python=True) == {"TRIMALLOC_MODE": "malloc"}
    assert with_mode({}, {}, same_python=False) == {}


def test_the_path_is_searched_in_order(tmp_path: Path) -> None:
    for name in ("first", "second"):
        program = tmp_path / name / "program"
        program.parent.mkdir()
        program.touch(mode=0o755)
    (tmp_path / "first" / "program").chmod(0o644)
    path = os.pathsep.join(str(tmp_path / name) for name in ("first", "second"))
    assert executable_on_path("program", {"PATH": path}) == str(tmp_path / "second" / "program")
    assert executable_on_path("absent", {"PATH": path}) is None
