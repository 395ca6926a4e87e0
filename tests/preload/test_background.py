"""The background thread: libc sees a process of one thread, and the kernel one identity."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs, cases_in

BACKGROUND = Path(__file__).parent / "programs" / "background.c"


@pytest.mark.parametrize("case", cases_in(BACKGROUND))
def test_case(case: str, each_preload: Preload, programs: Programs) -> None:
    each_preload.run(programs.build(BACKGROUND), case).assert_clean()
