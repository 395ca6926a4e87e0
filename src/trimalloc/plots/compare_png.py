"""A comparison's curves and bars as a PNG, by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trimalloc.comparison.palette import COLOURS, OTHER
from trimalloc.comparison.rounds import Comparison
from trimalloc.comparison.run import RunResult
from trimalloc.comparison.summary import IDLE, MEGABYTE, PEAK, Row, summarize, typical_run


def write(comparison: Comparison, path: Path) -> None:
    """Draws resident memory over time, and peak beside rest, into the file `path`."""
    # The canvas itself: no pyplot, which would look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    typical = (typical_run(comparison.results_of(one)) for one in comparison.allocators)
    figure = Figure(figsize=(12, 5), layout="constrained")
    over_time, in_all = figure.subplots(1, 2, width_ratios=(2, 1))
    _draw_curves(over_time, [run for run in typical if run is not None])
    _draw_bars(in_all, [row for row in summarize(comparison)[1] if row.figures[PEAK.key]])
    for axes in (over_time, in_all):
        axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(figure).print_figure(path, format="png")


def _draw_curves(axes: Any, runs: list[RunResult]) -> None:
    for run in runs:
        moments = [moment for moment, _ in run.samples]
        sizes = [size / MEGABYTE for _, size in run.samples]
        width = 2.4 if run.allocator.startswith("trimalloc") else 1.4
        colour = COLOURS.get(run.allocator, OTHER)[0]
        axes.plot(moments, sizes, label=run.allocator, color=colour, linewidth=width)
    phases = next((run.phases for run in runs if run.phases), [])
    for moment, name in phases:
        axes.axvline(moment, color="#98a3b0", linestyle=":", linewidth=1)
        place = {"xycoords": ("data", "axes fraction"), "rotation": 90, "va": "top"}
        axes.annotate(name, (moment, 1), fontsize=8, **place)
    axes.set(title="resident memory over time", xlabel="seconds", ylabel="MiB", ylim=(0, None))
    if runs:
        axes.legend(frameon=False, fontsize=8)


def _draw_bars(axes: Any, rows: list[Row]) -> None:
    for row in reversed(rows):
        colour = COLOURS.get(row.name, OTHER)[0]
        for measure, opacity in ((PEAK, 0.3), (IDLE, 1.0)):
            figure = row.figures[measure.key]
            if figure is not None:
                axes.barh(row.name, figure.value / MEGABYTE, color=colour, alpha=opacity)
    axes.set(title="after idling, of the peak", xlabel="MiB")
