"""A comparison as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimalloc.comparison.allocators import BASELINE
from trimalloc.comparison.rounds import Comparison
from trimalloc.comparison.summary import IDLE, Figure, Measure, Row, summarize

ABSENT = "-"


def format_value(figure: Figure | None, measure: Measure) -> str:
    """The median in the measure's unit, with three significant digits or all before the point."""
    if figure is None:
        return ABSENT
    value = figure.value / measure.scale
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def heading(measure: Measure) -> str:
    """The title of a measure's column with its unit."""
    return f"{measure.title}, {measure.unit}" if measure.unit else measure.title


def render(comparison: Comparison, width: int) -> str:
    """The whole report: table, failures, what is missing, how to read it."""
    measures, rows = summarize(comparison)
    complete = [row for row in rows if any(row.figures.values())]
    lines: list[str] = []
    if complete:
        for block in _blocks(measures, complete, width):
            lines += [*block, ""]
        lines += [_legend(comparison), ""]
    if complete and not any(row.figures[IDLE.key] for row in complete):
        lines += [_no_idle(comparison), ""]
    lines += [f"{row.name} failed: {row.error}" for row in rows if row.error is not None]
    lines += [f"{row.name} was not run" for row in rows if row.runs == 0]
    lines += [f"{one.name} is missing: {one.remedy}" for one in comparison.missing]
    return "\n".join(lines).strip() + "\n"


def _no_idle(comparison: Comparison) -> str:
    if comparison.task.idle_seconds <= 0:
        return "RSS after idle was not asked for (--idle 0)."
    return (
        "RSS after idle could not be seen: the command is not a Python program that ended by "
        'itself, and reported no phase "quiet" (trimalloc compare --help).'
    )


def _legend(comparison: Comparison) -> str:
    rounds = max((result.round for result in comparison.results), default=0) + 1
    several = f"median of {rounds} runs (±: half of highest less lowest), " if rounds > 1 else ""
    return f"Each cell: {several}value and ratio to {BASELINE}."


def _cell(row: Row, measure: Measure) -> str:
    figure = row.figures[measure.key]
    if figure is None:
        return ABSENT
    spread = f" ±{figure.spread * 50:.0f}%" if figure.spread is not None else ""
    ratio = f" {figure.ratio:5.2f}x" if figure.ratio is not None else ""
    return format_value(figure, measure) + spread + ratio


def _blocks(measures: Sequence[Measure], rows: Sequence[Row], width: int) -> Iterator[list[str]]:
    """The table, with its columns in as many blocks as the width asks for."""
    names = ["", *(row.name for row in rows)]
    name_width = max(map(len, names))
    block = [name.ljust(name_width) for name in names]
    for measure in measures:
        column = [heading(measure), *(_cell(row, measure) for row in rows)]
        column_width = max(map(len, column))
        if len(block[0]) > name_width and len(block[0]) + 3 + column_width > width:
            yield block
            block = [name.ljust(name_width) for name in names]
        block = [
            f"{line}   {text:>{column_width}}" for line, text in zip(block, column, strict=True)
        ]
    yield block
