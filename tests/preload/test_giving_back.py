"""Memory goes back to the OS: when the process is idle, on request, and is never taken in vain."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs, cases_in

GIVING_BACK = Path(__file__).parent / "programs" / "giving_back.c"
_WITHOUT_SCAVENGER = "without_scavenger_there_is_no_thread"


@pytest.mark.parametrize("case", [c for c in cases_in(GIVING_BACK) if c != _WITHOUT_SCAVENGER])
def test_case(case: str, each_preload: Preload, programs: Programs) -> None:
    each_preload.run(programs.build(GIVING_BACK), case).assert_clean()


def test_without_scavenger(each_preload: Preload, programs: Programs) -> None:
    lone = each_preload.with_settings(scavenger="0")
    lone.run(programs.build(GIVING_BACK), _WITHOUT_SCAVENGER).assert_clean()
