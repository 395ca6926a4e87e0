"""Random operations against a model of what must be in memory; see programs/model.c."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs

MODEL = Path(__file__).parent / "programs" / "model.c"


def fresh_seed() -> int:
    """Return a new seed each run; a failure prints it with the command line that repeats it."""
    return random.SystemRandom().randrange(1 << 32)


@pytest.mark.parametrize("check", ["0", "1"])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_known_seed(threads: int, check: str, each_preload: Preload, programs: Programs) -> None:
    operations = str(300_000 // threads)
    chosen = each_preload.with_settings(check=check)
    chosen.run(programs.build(MODEL), "20240229", str(threads), operations).assert_clean()


@pytest.mark.parametrize("threads", [1, 3])
def test_fresh_seed(threads: int, each_preload: Preload, programs: Programs) -> None:
    operations = str(300_000 // threads)
    words = (str(fresh_seed()), str(threads), operations)
    each_preload.run(programs.build(MODEL), *words).assert_clean()


def test_tight_caches(each_preload: Preload, programs: Programs) -> None:
    """Every tier hands on almost everything, and free pages go back at once."""
    tight = each_preload.with_settings(
        thread_cache_max="64K", release_delay_ms="0", idle_drain_ms="10"
    )
    tight.run(programs.build(MODEL), str(fresh_seed()), "3", "60000").assert_clean()
