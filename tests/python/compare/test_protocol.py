"""What a program may report, and what happens to lines that are none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from trimalloc.comparison.protocol import Report


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return Report(tmp_path / "report.jsonl")


def write(report: Report, text: str) -> None:
    with report.path.open("a", encoding="utf-8") as file:
        file.write(text)
    report.poll()


def test_a_program_that_reports_nothing(report: Report) -> None:
    report.poll()
    assert (report.phases, report.metrics, report.quiet_since()) == ([], {}, None)
    assert report.quiet_spans(end=9.0) == []


def test_phases_carry_their_moment(report: Report) -> None:
    before = time.monotonic()
    write(report, '{"phase": "burst", "time": 12.5}\n{"phase": "quiet"}\n')
    assert report.phases[0] == (12.5, "burst")
    assert before <= report.phases[1][0] <= time.monotonic()
    assert report.is_quiet


def test_later_metrics_replace_earlier_ones(report: Report) -> None:
    write(report, '{"metrics": {"p50_ms": 3, "p99_ms": 9}}\n{"metrics": {"p50_ms": 2.5}}\n')
    assert report.metrics == {"p50_ms": 2.5, "p99_ms": 9.0}


def test_a_line_counts_once_it_is_complete(report: Report) -> None:
    write(report, '{"not_counted": 1}\n{"not_co')
    assert report.not_counted == {1}
    write(report, 'unted": 2}\n')
    assert report.not_counted == {1, 2}


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        "[1, 2]",
        '"quiet"',
        '{"phase": 3}',
        '{"metrics": [1]}',
        '{"metrics": {"a": "fast", "b": true, "c": NaN, "d": null}}',
        '{"not_counted": "me"}',
        "\xff\xfe",
    ],
)
def test_what_is_no_report_is_ignored(report: Report, line: str) -> None:
    write(report, line + '\n{"metrics": {"good": 1}}\n')
    assert (report.phases, report.metrics, report.not_counted) == ([], {"good": 1.0}, set())


def test_quiet_ends_where_the_next_phase_begins(report: Report) -> None:
    write(
        report,
        '{"phase": "quiet", "time": 2}\n{"phase": "more", "time": 5}\n'
        '{"phase": "quiet", "time": 7}\n',
    )
    assert report.quiet_spans(end=9.0) == [(2.0, 5.0), (7.0, 9.0)]
    assert report.quiet_since() == 2.0
