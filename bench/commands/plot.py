"""`python -m bench plot`: draws a result file's ratios to glibc, one panel per metric."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import suites
from bench.allocators import BASELINE
from bench.results import Sample, read
from bench.suites.base import Metric, Settings
from bench.tables import Rows

HELP = "draw a result file as bars (needs matplotlib)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("file", type=Path, metavar="CSV")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="IMAGE",
        help="a .svg or .png file; the suite's name is put in front of its ending where the file "
        "has several suites (default: beside the CSV)",
    )


def execute(options: argparse.Namespace) -> int:
    """Draws one image per suite in the file."""
    try:
        plots = importlib.import_module("matplotlib.figure")
    except ImportError:
        print("matplotlib is not installed: pip install matplotlib", file=sys.stderr)
        return 2
    header, samples = read(options.file)
    output = options.output or options.file.with_suffix(".svg")
    names = list(dict.fromkeys(sample.suite for sample in samples))
    for name in names:
        own = [sample for sample in samples if sample.suite == name]
        metrics = [metric for metric in suites.load(name, Settings()).metrics if metric.shown]
        path = output.with_suffix(f".{name}{output.suffix}") if len(names) > 1 else output
        figure = _draw(plots.Figure, own, metrics)
        figure.suptitle("\n".join(line for line in header if line.startswith(("cpu", "date"))))
        figure.savefig(path)
        print(path)
    return 0


def _draw(figure_type: Any, samples: Sequence[Sample], metrics: Sequence[Metric]) -> Any:
    rows = len({sample.program for sample in samples})
    figure = figure_type(figsize=(6 * len(metrics), 2 + 0.5 * rows), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        _draw_metric(axes, Rows(samples, metric.name), metric.title)
    return figure


def _draw_metric(axes: Any, rows: Rows, title: str) -> None:
    """Horizontal bars around 1.0, grouped by program, on a logarithmic axis."""
    shown = [name for name in rows.allocators if name != BASELINE]
    height = 0.8 / max(1, len(shown))
    for index, allocator in enumerate(shown):
        places, values = [], []
        for place, program in enumerate(rows.series):
            ratio = rows.to_baseline(program, allocator)
            if ratio is not None:
                places.append(place + index * height)
                values.append(ratio.value)
        # Bars begin at 1.0: what is to the left is better than glibc.
        lengths = [value - 1 for value in values]
        axes.barh(places, lengths, height, left=1.0, label=allocator)
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(
        [place + 0.4 - height / 2 for place in range(len(rows.series))], list(rows.series)
    )
    axes.invert_yaxis()
    axes.set_title(f"{title}\n(ratio to {BASELINE}; less is better)")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:.2g}")
    axes.legend(fontsize="small")
