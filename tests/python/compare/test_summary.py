"""Medians, spreads and ratios."""

from __future__ import annotations

import pytest

from python.compare.fakes import GLIBC, JEMALLOC, MEBIBYTE, OURS, comparison, result
from trimalloc.comparison.rounds import schedule
from trimalloc.comparison.run import RunResult
from trimalloc.comparison.summary import figure, summarize, typical_run


def test_figure_is_the_median_with_spread_and_ratio() -> None:
    one = figure([3.0, 1.0, 2.0], baseline=[4.0, 4.0, 8.0])
    assert one is not None
    assert (one.value, one.spread, one.ratio) == (2.0, 1.0, 0.5)


def test_a_single_run_has_no_spread() -> None:
    one = figure([2.0], baseline=[])
    assert one is not None
    assert (one.spread, one.ratio) == (None, None)


def test_nothing_measured_is_no_figure() -> None:
    assert figure([], baseline=[1.0]) is None


def test_a_baseline_of_zero_gives_no_ratio() -> None:
    one = figure([0.0, 0.0], baseline=[0.0])
    assert one is not None
    assert (one.value, one.spread, one.ratio) == (0.0, None, None)


def test_rows_follow_the_allocators_and_columns_what_was_reported() -> None:
    measures, rows = summarize(
        comparison(result(GLIBC, 200, 100, p99_ms=4.0), result(OURS, 150, 50, p99_ms=2.0))
    )
    assert [row.name for row in rows] == ["trimalloc-full", "glibc", "jemalloc"]
    assert [(one.title, one.unit) for one in measures[-2:]] == [
        ("RSS after idle", "MiB"),
        ("p99", "ms"),
    ]
    idle, p99 = rows[0].figures["idle_bytes"], rows[0].figures["metrics.p99_ms"]
    assert idle is not None
    assert (idle.value, idle.ratio) == (50 * MEBIBYTE, 0.5)
    assert p99 is not None
    assert p99.ratio == 0.5
    assert rows[2].runs == 0


def test_failed_runs_do_not_count() -> None:
    bad = result(JEMALLOC, 10_000)
    bad.error = "exit status 1"
    _, rows = summarize(comparison(result(GLIBC, 200), bad))
    assert rows[2].error == "exit status 1"
    assert not any(rows[2].figures.values())


def test_the_typical_run_is_the_one_in_the_middle() -> None:
    runs = [result(OURS, 100, idle, round_) for round_, idle in enumerate((90, 30, 60))]
    typical = typical_run(runs)
    assert typical is not None
    assert typical.idle_bytes == 60 * MEBIBYTE


def test_no_good_run_is_no_typical_run() -> None:
    assert typical_run([RunResult("glibc", 0, error="failed")]) is None


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_every_round_runs_all_and_begins_with_another(rounds: int) -> None:
    order = schedule([OURS, GLIBC, JEMALLOC], rounds)
    by_round = [[one for at, one in order if at == round_] for round_ in range(rounds)]
    assert all(
        {one.name for one in line} == {"trimalloc-full", "glibc", "jemalloc"} for line in by_round
    )
    assert [line[0] for line in by_round] == [OURS, GLIBC, JEMALLOC, OURS][:rounds]
