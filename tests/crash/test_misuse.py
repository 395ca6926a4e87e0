"""Every misuse ends with SIGABRT and one line that names it.

The programs say what to expect: see programs/misuse.h for the two promises that they can make.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
from support.preload import Outcome, Preload
from support.programs import Programs, cases_in

PROGRAMS = Path(__file__).parent / "programs"
TOLERATED = PROGRAMS / "not_misuse.c"
_MISUSE = re.compile(r'^MISUSE(_AT_CALL)?\((\w+),\s+"((?:[^"\\]|\\.)*)"\)', re.MULTILINE)


class Misuse(NamedTuple):
    """One misuse: where it is written and what is promised about it."""

    source: Path
    name: str
    phrase: str
    always_at_call: bool


def _misuses() -> list[Misuse]:
    found = []
    for source in sorted(PROGRAMS.glob("*.c")):
        for at_call, name, phrase in _MISUSE.findall(source.read_text()):
            found.append(Misuse(source, name, phrase.replace("\\\\", "\\"), bool(at_call)))
    return found


MISUSES = _misuses()
each_misuse = pytest.mark.parametrize(
    "misuse", MISUSES, ids=[f"{one.source.stem}-{one.name}" for one in MISUSES]
)


def test_every_program_is_read() -> None:
    written = sum(source.read_text().count("\nMISUSE") for source in PROGRAMS.glob("*.c"))
    assert written == len(MISUSES)


def assert_stopped(outcome: Outcome, misuse: Misuse) -> None:
    """Fail unless the program was aborted with exactly the one line that was promised."""
    assert outcome.signal is signal.SIGABRT, outcome.describe()
    lines = outcome.stderr.splitlines()
    assert len(lines) == 1, outcome.describe()
    assert lines[0].startswith("trimalloc: "), outcome.describe()
    assert re.search(misuse.phrase, lines[0]), f"no '{misuse.phrase}' in\n{outcome.describe()}"


def assert_stopped_at_call(outcome: Outcome, misuse: Misuse) -> None:
    """The same, and the wrong call must not have returned."""
    assert_stopped(outcome, misuse)
    assert outcome.stdout == "calling\n", outcome.describe()


@each_misuse
def test_stops_with_one_line(misuse: Misuse, preload: Preload, programs: Programs) -> None:
    outcome = preload.run(programs.build(misuse.source), misuse.name)
    if misuse.always_at_call:
        assert_stopped_at_call(outcome, misuse)
    else:
        assert_stopped(outcome, misuse)


@each_misuse
def test_stops_at_the_call_when_checked(
    misuse: Misuse, preload: Preload, programs: Programs
) -> None:
    checked = preload.with_settings(check="1")
    assert_stopped_at_call(checked.run(programs.build(misuse.source), misuse.name), misuse)


def test_says_how_to_stop_at_the_call(preload: Preload, programs: Programs) -> None:
    program = programs.build(PROGRAMS / "double_free.c")
    late = preload.run(program, "immediate").stderr
    assert "run with TRIMALLOC_CHECK=1 to stop at the call" in late


@pytest.mark.parametrize("check", ["0", "1"])
@pytest.mark.parametrize("case", cases_in(TOLERATED))
def test_is_no_misuse(case: str, check: str, preload: Preload, programs: Programs) -> None:
    preload.with_settings(check=check).run(programs.build(TOLERATED), case).assert_clean()
