"""The TRIMALLOC_* family: what it prints, what it refuses, and what children inherit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs

LOADING = Path(__file__).parent / "programs" / "loading.c"

VALID = {
    "mode": ["full", "arena", "malloc"],
    "caches": ["auto", "thread", "cpu"],
    "limit": ["512M", "2G", "1000000000"],
    "soft_limit": ["256M"],
    "release_delay_ms": ["0", "50"],
    "thread_cache_max": ["1M", "65536"],
    "idle_drain_ms": ["100"],
    "scavenger": ["0", "1"],
    "huge_pages": ["0", "1"],
    "check": ["0", "1"],
    "report": ["0"],
    "follow": ["0", "1"],
    "arena": ["64G"],
}
BAD_VALUES = {
    "mode": "fast",
    "caches": "process",
    "limit": "lots",
    "soft_limit": "12Q",
    "release_delay_ms": "soon",
    "thread_cache_max": "-1",
    "idle_drain_ms": "1x",
    "scavenger": "perhaps",
    "huge_pages": "always",
    "check": "2",
    "report": "yes please",
    "stats_every": "often",
    "follow": "maybe",
    "arena": "wide",
}


@pytest.fixture(scope="session")
def quiet_program(programs: Programs) -> Path:
    """A program that prints nothing."""
    return programs.build(LOADING)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in VALID.items() for v in values])
def test_valid_settings_print_nothing(
    name: str, value: str, preload: Preload, quiet_program: Path
) -> None:
    outcome = preload.with_settings(**{name: value}).run(quiet_program, "nothing_special")
    outcome.assert_clean()
    assert not outcome.stdout


@pytest.mark.parametrize("name", ["limitt", "mod", "check_", "releasedelayms", "x"])
def test_unknown_name_is_one_line(name: str, preload: Preload, quiet_program: Path) -> None:
    outcome = preload.with_settings(**{name: "1"}).run(quiet_program, "nothing_special")
    outcome.assert_success()
    lines = outcome.stderr.splitlines()
    assert len(lines) == 1, outcome.describe()
    assert lines[0].startswith("trimalloc: "), outcome.describe()
    assert f"TRIMALLOC_{name.upper()}" in lines[0], outcome.describe()


@pytest.mark.parametrize(("name", "value"), BAD_VALUES.items())
def test_bad_value_is_one_line(
    name: str, value: str, preload: Preload, quiet_program: Path
) -> None:
    outcome = preload.with_settings(**{name: value}).run(quiet_program, "nothing_special")
    outcome.assert_success()
    lines = outcome.stderr.splitlines()
    assert len(lines) == 1, outcome.describe()
    assert lines[0].startswith("trimalloc: "), outcome.describe()
    assert f"TRIMALLOC_{name.upper()}" in lines[0], outcome.describe()
    assert value in lines[0], outcome.describe()


def test_two_mistakes_are_two_lines(preload: Preload, quiet_program: Path) -> None:
    outcome = preload.with_settings(nonsense="1", limit="?").run(quiet_program, "nothing_special")
    assert len(outcome.stderr.splitlines()) == 2, outcome.describe()


def test_children_follow_by_default(preload: Preload) -> None:
    outcome = preload.with_settings(check="1").run("sh", "-c", "env; cat /proc/self/maps")
    outcome.assert_clean()
    assert f"LD_PRELOAD={preload.library}" in outcome.stdout
    assert "TRIMALLOC_CHECK=1" in outcome.stdout
    assert f"{preload.library}\n" in outcome.stdout.split("LD_PRELOAD=", 1)[1].split("\n", 1)[1]


def test_no_follow_leaves_children_plain(preload: Preload) -> None:
    alone = preload.with_settings(follow="0", check="1", limit="1G")
    outcome = alone.run("sh", "-c", "env; cat /proc/self/maps")
    outcome.assert_clean()
    lines = outcome.stdout.splitlines()
    assert not [line for line in lines if line.startswith(("TRIMALLOC_", "LD_PRELOAD="))]
    assert not [line for line in lines if line.endswith(f" {preload.library}")]


@pytest.mark.parametrize("separator", [":", " "])
@pytest.mark.parametrize("ours_first", [True, False])
def test_no_follow_keeps_other_preloads(
    ours_first: bool, separator: str, preload: Preload, programs: Programs
) -> None:
    other = programs.build(LOADING.with_name("loaded.c"), ["-shared", "-fPIC"])
    words = [preload.library, other] if ours_first else [other, preload.library]
    environment = {"LD_PRELOAD": separator.join(str(word) for word in words)}
    alone = preload.with_settings(follow="0")
    outcome = alone.run("sh", "-c", "env", environment=environment)
    outcome.assert_clean()
    assert f"LD_PRELOAD={other}\n" in outcome.stdout, outcome.describe()


def test_no_follow_itself_stays_on(preload: Preload) -> None:
    """The process that was started has the library; it is only its children that do not."""
    outcome = preload.with_settings(follow="0").run("cat", "/proc/self/maps")
    outcome.assert_clean()
    assert preload.library.name in outcome.stdout


def test_report_at_exit(preload: Preload, quiet_program: Path) -> None:
    outcome = preload.with_settings(report="1").run(quiet_program, "nothing_special")
    outcome.assert_success()
    assert not outcome.stdout
    lines = outcome.stderr.splitlines()
    assert len(lines) >= 5, outcome.describe()
    text = outcome.stderr.lower()
    for tier in ("in use", "thread caches", "transfer caches", "spans", "free pages"):
        assert tier in text, f"no {tier} in\n{outcome.describe()}"


def test_stats_every(preload: Preload) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(3.5)"]
    outcome = preload.with_settings(stats_every="1").run(*command)
    outcome.assert_success()
    lines = outcome.stderr.splitlines()
    assert 2 <= len(lines) <= 5, outcome.describe()
    assert all(line.startswith("trimalloc") for line in lines), outcome.describe()
