"""The drawings of a comparison as inline SVG: curves of memory over time, bars of peak and rest.

Colours are CSS variables of the page, so that light and dark need one drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from trimalloc.comparison.run import RunResult
from trimalloc.comparison.summary import IDLE, MEGABYTE, PEAK, Row

WIDTH = 960.0
# More points than this along the drawing's width can't be seen.
_POINTS = 600


@dataclass(frozen=True)
class Plot:
    """The rectangle that data is drawn in, and the ranges it stands for."""

    seconds: float
    mebibytes: float
    left: float = 56.0
    top: float = 34.0
    right: float = WIDTH - 132.0
    bottom: float = 344.0
    height: float = 384.0

    def x(self, seconds: float) -> float:
        """Where a moment lies."""
        return self.left + (self.right - self.left) * seconds / self.seconds

    def y(self, mebibytes: float) -> float:
        """Where a size lies."""
        return self.bottom - (self.bottom - self.top) * mebibytes / self.mebibytes


def colour(name: str) -> str:
    """The CSS variable of an allocator's colour."""
    return f"var(--{name}, var(--other))"


def ticks(highest: float, about: int = 6) -> list[float]:
    """Round numbers from 0 to the first one not below `highest`."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / about
    magnitude = 10 ** floor(log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough)
    return [step * index for index in range(ceil(highest / step - 1e-9) + 1)]


def plot_for(runs: Sequence[RunResult]) -> Plot:
    """The ranges that hold all runs."""
    longest = max(moment for run in runs for moment, _ in run.samples)
    highest = max(size for run in runs for _, size in run.samples)
    return Plot(max(longest, 0.1), ticks(highest / MEGABYTE)[-1])


def curves(runs: Sequence[RunResult]) -> str:
    """Resident memory over time, a line for each run, its phases marked."""
    plot = plot_for(runs)
    parts = [
        f'<svg id="curves" viewBox="0 0 {WIDTH:.0f} {plot.height:.0f}" role="img" '
        'aria-label="Resident memory over time">',
        *_axes(plot),
        *_phases(plot, next((run for run in runs if run.phases), None)),
    ]
    # The first allocators matter most: they are drawn last, over the others.
    for run in reversed(runs):
        parts += _curve(plot, run)
    parts += _end_labels(plot, runs)
    parts.append(
        f'<line id="cursor" y1="{plot.top}" y2="{plot.bottom}" visibility="hidden"/></svg>'
    )
    return "".join(parts)


def _axes(plot: Plot) -> list[str]:
    parts = [f'<text class="unit" x="{plot.left - 8}" y="{plot.top - 16}">MiB</text>']
    for size in ticks(plot.mebibytes):
        y = plot.y(size)
        parts.append(
            f'<line class="grid" x1="{plot.left}" x2="{plot.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text class="tick" x="{plot.left - 8}" y="{y + 4:.1f}">{size:,.4g}</text>')
    for moment in ticks(plot.seconds, about=9):
        if moment <= plot.seconds:
            x = plot.x(moment)
            label = f"{moment:g} s"
            parts.append(f'<text class="moment" x="{x:.1f}" y="{plot.bottom + 20}">{label}</text>')
    return parts


def _phases(plot: Plot, run: RunResult | None) -> list[str]:
    """Lines through the drawing where the phases of one run begin."""
    parts = []
    label_ends = 0.0
    for moment, name in run.phases if run else []:
        x = plot.x(min(moment, plot.seconds))
        # Two names beside each other would overlap: the second goes one line higher.
        raised = 14.0 if x < label_ends else 0.0
        label_ends = 0.0 if raised else x + 12 + 7.0 * len(name)
        parts.append(
            f'<line class="phase" x1="{x:.1f}" x2="{x:.1f}" y1="{plot.top}" y2="{plot.bottom}"/>'
            f'<text class="phase" x="{x + 5:.1f}" y="{plot.top - 4 - raised}">{escape(name)}</text>'
        )
    return parts


def thin(samples: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """At most `_POINTS` samples, of every stretch the highest, so that no peak is lost."""
    if len(samples) <= _POINTS:
        return list(samples)
    stretch = ceil(len(samples) / _POINTS)
    return [
        max(samples[start : start + stretch], key=lambda sample: sample[1])
        for start in range(0, len(samples), stretch)
    ]


def _curve(plot: Plot, run: RunResult) -> list[str]:
    points = " ".join(
        f"{plot.x(moment):.1f},{plot.y(size / MEGABYTE):.1f}" for moment, size in thin(run.samples)
    )
    name = escape(run.allocator)
    parts = [
        f'<polyline class="curve {name}" style="stroke:{colour(run.allocator)}" '
        f'points="{points}"><title>{name}</title></polyline>'
    ]
    for moment, phase in run.phases:
        before = [size for at, size in run.samples if at <= moment]
        if before:
            x, y = plot.x(moment), plot.y(before[-1] / MEGABYTE)
            parts.append(
                f'<circle r="3.5" cx="{x:.1f}" cy="{y:.1f}" '
                f'style="fill:{colour(run.allocator)}">'
                f"<title>{name}: {escape(phase)} at {moment:.2f} s</title></circle>"
            )
    return parts


def _end_labels(plot: Plot, runs: Sequence[RunResult]) -> list[str]:
    """The names at the right end of the curves, moved apart where they would overlap."""
    apart = 15.0
    ends = sorted((plot.y(_rest(run) / MEGABYTE), run.allocator) for run in runs)
    places: list[float] = []
    for y, _ in ends:
        places.append(max(y, places[-1] + apart) if places else y)
    overflow = places[-1] - plot.bottom
    for index in range(len(places) - 1, -1, -1):
        limit = (
            places[index + 1] - apart if index + 1 < len(places) else places[-1] - max(overflow, 0)
        )
        places[index] = min(places[index], limit)
    return [
        f'<text class="name" x="{plot.right + 10}" y="{place + 4:.1f}" '
        f'style="fill:{colour(name)}">{escape(name)}</text>'
        for place, (_, name) in zip(places, ends, strict=True)
    ]


def _rest(run: RunResult) -> int:
    return run.samples[-1][1] if run.idle_bytes is None else run.idle_bytes


def bars(rows: Sequence[Row]) -> str:
    """Peak (pale) and rest after idling (full) of every allocator."""
    line, left, right = 30.0, 140.0, WIDTH - 150.0
    highest = max(figure.value for row in rows if (figure := row.figures[PEAK.key]))
    parts = [
        f'<svg viewBox="0 0 {WIDTH:.0f} {line * len(rows) + 6:.0f}" role="img" '
        'aria-label="Peak memory and memory after idling">'
    ]
    for index, row in enumerate(rows):
        y = index * line + 4
        name, style = escape(row.name), f'style="fill:{colour(row.name)}"'
        parts.append(f'<text class="bar-name" x="{left - 10}" y="{y + 16}">{name}</text>')
        peak, rest = row.figures[PEAK.key], row.figures[IDLE.key]
        texts: list[str] = []
        for figure, kind in ((peak, "peak"), (rest, "rest")):
            if figure is not None:
                width = (right - left) * figure.value / highest
                parts.append(
                    f'<rect class="{kind}" {style} x="{left}" y="{y}" width="{width:.1f}" '
                    f'height="{line - 8}" rx="3"/>'
                )
                texts.insert(0, f"{figure.value / MEGABYTE:,.0f}")
        end = left + (right - left) * peak.value / highest if peak else left
        sizes = " of ".join(texts)
        parts.append(f'<text class="bar-value" x="{end + 10:.1f}" y="{y + 16}">{sizes} MiB</text>')
    return "".join([*parts, "</svg>"])
