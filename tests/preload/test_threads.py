"""Threads that come and go: their caches go back, and their blocks stay right."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs, cases_in

PROGRAMS = Path(__file__).parent / "programs"
_CASES = [
    pytest.param(source, case, id=f"{source.stem}-{case}")
    for source in (PROGRAMS / "threads.c", PROGRAMS / "thread_locals.cc")
    for case in cases_in(source)
]


@pytest.mark.parametrize(("source", "case"), _CASES)
def test_case(source: Path, case: str, each_preload: Preload, programs: Programs) -> None:
    each_preload.run(programs.build(source), case).assert_clean()
