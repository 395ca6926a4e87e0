"""The random programs of tests/preload, for minutes instead of seconds, in awkward settings."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs

PROGRAMS = Path(__file__).parents[1] / "preload" / "programs"
MODEL = PROGRAMS / "model.c"
FORKING = PROGRAMS / "forking.c"

pytestmark = pytest.mark.stress

SETTINGS = {
    "default": {},
    "checked": {"check": "1"},
    "tight": {"thread_cache_max": "64K", "release_delay_ms": "0", "idle_drain_ms": "10"},
    "no-scavenger": {"scavenger": "0"},
    "processors": {"caches": "cpu"},
    "small-range": {"arena": "4G"},
}
each_setting = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)


@each_setting
@pytest.mark.parametrize("threads", [1, 2, 8, 24])
def test_model(
    threads: int, settings: dict[str, str], preload: Preload, programs: Programs
) -> None:
    """Fifteen seeds, each new; a failure's first line has the command that repeats it."""
    program = programs.build(MODEL)
    for _ in range(15):
        seed = str(random.SystemRandom().randrange(1 << 32))
        operations = str(1_000_000 // threads)
        chosen = preload.with_settings(**settings)
        chosen.run(program, seed, str(threads), operations, timeout=300).assert_clean()


@each_setting
def test_fork_storm(settings: dict[str, str], preload: Preload, programs: Programs) -> None:
    program = programs.build(FORKING)
    for _ in range(10):
        for case in ("the_child_can_do_everything", "every_thread_forks", "many_children_at_once"):
            preload.with_settings(**settings).run(program, case, timeout=120).assert_clean()


@pytest.mark.parametrize("limit", ["600M", "1G"])
def test_model_near_a_limit(limit: str, preload: Preload, programs: Programs) -> None:
    """Enough for the live blocks: every request must succeed, but only by giving back."""
    program = programs.build(MODEL)
    for _ in range(20):
        seed = str(random.SystemRandom().randrange(1 << 32))
        limited = preload.with_settings(limit=limit)
        limited.run(program, seed, "4", "250000", timeout=300).assert_clean()
