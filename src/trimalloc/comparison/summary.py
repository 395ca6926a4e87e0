"""From runs to figures: medians, spreads, ratios to the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from trimalloc.comparison.allocators import BASELINE
from trimalloc.comparison.rounds import Comparison
from trimalloc.comparison.run import RunResult

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Figure:
    """One measure of one allocator."""

    value: float
    """The median of the runs."""
    spread: float | None
    """Highest less lowest run, as a share of the median; None for a single run."""
    ratio: float | None
    """To the baseline's median; None without a baseline."""


@dataclass(frozen=True)
class Measure:
    """A column of the table."""

    key: str
    title: str
    unit: str
    read: Callable[[RunResult], float | None]
    scale: float = 1.0
    """What a raw value is divided by for display."""


@dataclass(frozen=True)
class Row:
    """One allocator's line of the table."""

    name: str
    figures: dict[str, Figure | None]
    error: str | None
    runs: int


TIME = Measure("seconds", "time", "s", lambda run: run.seconds)
CPU = Measure("cpu_seconds", "CPU time", "s", lambda run: run.cpu_seconds)
PEAK = Measure("peak_bytes", "peak RSS", "MiB", lambda run: run.peak_bytes, MEGABYTE)
IDLE = Measure("idle_bytes", "RSS after idle", "MiB", lambda run: run.idle_bytes, MEGABYTE)


def measures_of(results: Sequence[RunResult]) -> list[Measure]:
    """The columns: ours, then what the program reported, in the order it did."""
    reported = dict.fromkeys(name for result in results for name in result.metrics)
    return [TIME, CPU, PEAK, IDLE, *map(_reported, reported)]


def _reported(name: str) -> Measure:
    title, unit = name.replace("_per_second", "/s").replace("_", " "), ""
    if name.endswith("_ms"):
        title, unit = title.removesuffix(" ms"), "ms"
    return Measure(f"metrics.{name}", title, unit, lambda run: run.metrics.get(name))


def figure(values: Sequence[float], baseline: Sequence[float]) -> Figure | None:
    """The figure for an allocator's runs beside the baseline's; None without any."""
    if not values:
        return None
    middle = median(values)
    spread = (max(values) - min(values)) / middle if len(values) > 1 and middle else None
    base = median(baseline) if baseline else 0.0
    return Figure(middle, spread, middle / base if base else None)


def summarize(comparison: Comparison) -> tuple[list[Measure], list[Row]]:
    """The table of a comparison; failed runs count for nothing but their error."""
    good = [result for result in comparison.results if result.error is None]
    measures = measures_of(good)
    rows = []
    for allocator in comparison.allocators:
        runs = comparison.results_of(allocator)
        figures = {
            measure.key: figure(
                _values(measure, good, allocator.name), _values(measure, good, BASELINE)
            )
            for measure in measures
        }
        error = next((run.error for run in runs if run.error is not None), None)
        rows.append(Row(allocator.name, figures, error, len(runs)))
    return measures, rows


def _values(measure: Measure, results: Sequence[RunResult], allocator: str) -> list[float]:
    read = (measure.read(result) for result in results if result.allocator == allocator)
    return [value for value in read if value is not None]


def typical_run(runs: Sequence[RunResult]) -> RunResult | None:
    """The run to draw: the one whose memory after idling (or at its peak) is in the middle."""
    good = sorted(
        (run for run in runs if run.error is None and run.samples),
        key=lambda run: run.peak_bytes if run.idle_bytes is None else run.idle_bytes,
    )
    return good[(len(good) - 1) // 2] if good else None
