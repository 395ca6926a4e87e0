"""Tables of a result file: medians per row, ratios to the best peer, geometric means.

"Best peer" is the peer with the smallest median in that row. Ratios are medians of the ratios of
single rounds, so they need not be exactly the ratio of the two medians shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from bench.allocators import BASELINE
from bench.estimates import Estimate, estimate, geometric_mean, paired_difference, paired_ratio
from bench.results import Sample
from bench.suites.base import Metric

Series = dict[int, float]  # by round


class Rows:
    """The samples of one metric, by program and allocator, in the order in which they came."""

    def __init__(self, samples: Iterable[Sample], metric: str) -> None:
        self.series: dict[str, dict[str, Series]] = {}
        self.allocators: list[str] = []
        self.peers: set[str] = set()
        for sample in samples:
            if sample.metric != metric:
                continue
            row = self.series.setdefault(sample.program, {})
            row.setdefault(sample.allocator, {})[sample.round] = sample.value
            if sample.allocator not in self.allocators:
                self.allocators.append(sample.allocator)
            if sample.is_peer:
                self.peers.add(sample.allocator)
        # Peers first, the baseline in front; the same order in every table.
        self.allocators.sort(key=lambda name: (name not in self.peers, name != BASELINE, name))

    def best_peer(self, program: str) -> str | None:
        """The peer with the smallest median in a row."""
        row = self.series[program]
        medians = {name: estimate(list(row[name].values())).value for name in row}
        return min(
            (name for name in row if name in self.peers), key=medians.__getitem__, default=None
        )

    def to_best_peer(self, program: str, allocator: str) -> Estimate | None:
        """The ratio to the best peer; a peer is compared with the best of the others and itself."""
        best = self.best_peer(program)
        row = self.series[program]
        if best is None or allocator not in row:
            return None
        return paired_ratio(row[allocator], row[best])

    def to_baseline(self, program: str, allocator: str) -> Estimate | None:
        """The ratio to plain glibc."""
        row = self.series[program]
        if BASELINE not in row or allocator not in row:
            return None
        return paired_ratio(row[allocator], row[BASELINE])


def metric_table(samples: Iterable[Sample], metric: Metric) -> str:
    """One row per program: medians, the best peer, ours as ratios to it, and the spread."""
    rows = Rows(samples, metric.name)
    ours = [name for name in rows.allocators if name not in rows.peers]
    compared = ours if rows.peers else []
    head = ["program", *rows.allocators, "best peer", *(f"{name} / best" for name in compared), "±"]
    body = []
    for program, row in rows.series.items():
        line = [program]
        for name in rows.allocators:
            line.append(_median_text(row.get(name), metric.divisor))
        line.append(rows.best_peer(program) or "-")
        line += [ratio_text(rows.to_best_peer(program, name)) for name in compared]
        line.append(_spread(rows, program))
        body.append(line)
    return f"### {_heading(metric)}\n\n{markdown(head, body)}"


def difference_table(samples: Iterable[Sample], metric: Metric) -> str:
    """One row per program and allocator: the median, and what it adds to the baseline."""
    rows = Rows(samples, metric.name)
    body = []
    for program, row in rows.series.items():
        for name in rows.allocators:
            if name not in row:
                continue
            added = paired_difference(row[name], row.get(BASELINE, {}))
            shown = _median_text(row[name], metric.divisor)
            body.append([program, name, shown, *_added(added, metric.divisor)])
    head = ["program", "allocator", metric.unit, f"over {BASELINE}", "from", "to"]
    return f"### {_heading(metric)}\n\n{markdown(head, body)}"


def summary_table(samples: Sequence[Sample], metrics: Iterable[Metric]) -> str:
    """One row per metric and allocator: geometric means over all programs, and the worst row."""
    body = []
    for metric in metrics:
        rows = Rows(samples, metric.name)
        for name in rows.allocators:
            to_best = {
                program: ratio.value
                for program in rows.series
                if (ratio := rows.to_best_peer(program, name)) is not None
            }
            to_baseline = [
                ratio.value
                for program in rows.series
                if (ratio := rows.to_baseline(program, name)) is not None
            ]
            worst = max(to_best, key=to_best.__getitem__, default=None)
            body.append(
                [
                    metric.name,
                    name,
                    _fixed(geometric_mean(to_baseline)),
                    _fixed(geometric_mean(to_best.values())),
                    "-" if worst is None else f"{to_best[worst]:.2f} {worst}",
                    str(len(to_best)),
                ]
            )
    head = ["metric", "allocator", f"/ {BASELINE}", "/ best peer of each row", "worst row", "rows"]
    return f"### Geometric means\n\n{markdown(head, body)}"


def own_figures_table(samples: Sequence[Sample], metrics: Iterable[Metric]) -> str:
    """The figures that only single programs report; empty where there are none."""
    common = {metric.name for metric in metrics}
    names = dict.fromkeys(sample.metric for sample in samples if sample.metric not in common)
    tables = [Rows(samples, name) for name in names]
    columns = list(dict.fromkeys(column for rows in tables for column in rows.allocators))
    body = [
        [program, name, *(_median_text(row.get(column)) for column in columns)]
        for name, rows in zip(names, tables, strict=True)
        for program, row in rows.series.items()
    ]
    if not body:
        return ""
    return f"### Figures of single programs\n\n{markdown(['program', 'figure', *columns], body)}"


def markdown(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table that reads well as text, too: the first column to the left, the others right."""
    rows = [list(head), *map(list, body)]
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=False)]
        return f"| {' | '.join(cells)} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])]) + "\n"


def number_text(value: float | None) -> str:
    """Three significant digits, or all of a large number."""
    if value is None:
        return "-"
    if abs(value) >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio_text(ratio: Estimate | None) -> str:
    """A ratio with two digits behind the point."""
    return "-" if ratio is None else f"{ratio.value:.2f}"


def _heading(metric: Metric) -> str:
    names = dict.fromkeys(name for name in (metric.name, metric.unit) if name)
    return f"{metric.title} ({', '.join(names)})"


def _median_text(series: Series | None, divisor: float = 1.0) -> str:
    return number_text(estimate(list(series.values())).value / divisor if series else None)


def _spread(rows: Rows, program: str) -> str:
    """The widest interval of any allocator's ratio to the best peer in this row."""
    best = rows.best_peer(program)
    ratios = [rows.to_best_peer(program, name) for name in rows.allocators if name != best]
    widest = max((ratio.half_width for ratio in ratios if ratio is not None), default=math.inf)
    return f"{widest * 100:.1f} %" if math.isfinite(widest) else "-"


def _added(added: Estimate | None, divisor: float) -> list[str]:
    if added is None:
        return ["-", "-", "-"]
    return [f"{value / divisor:+.2f}" for value in (added.value, added.low, added.high)]


def _fixed(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
