"""Caches that belong to processors: where they can be had, and what there is instead elsewhere.

tests/engine/cache/processor_caches_test.cc holds the caches themselves to their protocol, and
``each_preload`` runs the storms of this folder on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.preload import Outcome, Preload
from support.programs import Programs

DENIED = Path(__file__).parent / "programs" / "denied.c"
PROCESSORS, THREADS = "free in processor caches", "free in thread caches"


@pytest.fixture(scope="module")
def by_processor(library: Path) -> Preload:
    """The library for them, with a report of whom the caches belonged to."""
    path = library.parent / "cpu" / library.name
    return Preload(path, {"TRIMALLOC_CACHES": "cpu", "TRIMALLOC_REPORT": "1"})


def assert_owners(outcome: Outcome, row: str) -> None:
    """Fail unless the report has the row, and nothing else was complained of."""
    outcome.assert_success()
    assert row in outcome.stderr, outcome.describe()
    assert outcome.stderr.count("trimalloc:") == 1, outcome.describe()


def test_they_belong_to_processors(by_processor: Preload) -> None:
    assert_owners(by_processor.run("true"), PROCESSORS)


@pytest.mark.parametrize(
    ("settings", "row"),
    [
        ({"TRIMALLOC_CACHES": "thread"}, THREADS),
        ({"TRIMALLOC_CACHES": "auto"}, PROCESSORS),  # what this library is for
        ({"TRIMALLOC_CHECK": "1"}, THREADS),
        ({"GLIBC_TUNABLES": "glibc.pthread.rseq=0"}, THREADS),
    ],
    ids=["thread", "auto", "check", "no-rseq"],
)
def test_unless_told_otherwise(
    settings: Mapping[str, str], row: str, by_processor: Preload
) -> None:
    assert_owners(by_processor.run("true", environment=settings), row)


@pytest.mark.parametrize("call", ["membarrier", "sched_getaffinity"])
def test_not_where_the_kernel_says_no(call: str, by_processor: Preload, programs: Programs) -> None:
    assert_owners(by_processor.run(programs.build(DENIED), call, "true"), THREADS)
