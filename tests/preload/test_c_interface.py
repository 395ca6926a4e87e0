"""The C interface, with glibc's semantics where the standards leave room.

Every case runs with checks off and on: the checked mode may stop misuse, never a right program.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.preload import Preload
from support.programs import Programs, cases_in

INTERFACE = Path(__file__).parent / "programs" / "interface"

# Cases whose output or surroundings the tests below judge; they run there.
_JUDGED_APART = {
    "malloc_info_writes_xml",
    "malloc_stats_writes_to_stderr",
    "a_handler_that_frees_lets_new_succeed",
}
_CASES = [
    pytest.param(source, case, id=f"{source.stem}-{case}")
    for source in sorted(INTERFACE.iterdir())
    for case in cases_in(source)
    if case not in _JUDGED_APART
]


@pytest.mark.parametrize("check", ["0", "1"])
@pytest.mark.parametrize(("source", "case"), _CASES)
def test_case(source: Path, case: str, check: str, preload: Preload, programs: Programs) -> None:
    preload.with_settings(check=check).run(programs.build(source), case).assert_clean()


def test_malloc_info_is_xml(preload: Preload, programs: Programs) -> None:
    program = programs.build(INTERFACE / "introspection.c")
    outcome = preload.run(program, "malloc_info_writes_xml")
    outcome.assert_clean()
    assert ET.fromstring(outcome.stdout).tag == "malloc"


def test_malloc_stats_goes_to_stderr(preload: Preload, programs: Programs) -> None:
    program = programs.build(INTERFACE / "introspection.c")
    outcome = preload.run(program, "malloc_stats_writes_to_stderr")
    outcome.assert_success()
    assert outcome.stderr
    assert not outcome.stdout


def test_new_handler_that_frees(preload: Preload, programs: Programs) -> None:
    program = programs.build(INTERFACE / "operators.cc")
    tight = [f"--as={500 << 20}"]
    case = "a_handler_that_frees_lets_new_succeed"
    preload.run(program, case, limits=tight).assert_clean()
