"""fork, vfork, posix_spawn and exec from processes whose threads are inside malloc."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs, cases_in

FORKING = Path(__file__).parent / "programs" / "forking.c"


@pytest.mark.parametrize("case", cases_in(FORKING))
def test_case(case: str, each_preload: Preload, programs: Programs) -> None:
    each_preload.run(programs.build(FORKING), case).assert_clean()


@pytest.mark.parametrize("case", ["the_child_can_do_everything", "every_thread_forks"])
def test_with_a_busy_scavenger(case: str, each_preload: Preload, programs: Programs) -> None:
    """The background thread is stopped before each fork and must come back, again and again."""
    busy = each_preload.with_settings(release_delay_ms="0", idle_drain_ms="10")
    busy.run(programs.build(FORKING), case).assert_clean()


def test_checked(each_preload: Preload, programs: Programs) -> None:
    checked = each_preload.with_settings(check="1")
    checked.run(programs.build(FORKING), "the_child_can_do_everything").assert_clean()
