"""All tables of a result file, suite by suite."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bench import suites
from bench.results import Sample
from bench.suites.base import Settings, Suite
from bench.tables import difference_table, metric_table, own_figures_table, summary_table


def render(header: Sequence[str], samples: Sequence[Sample], metrics: Collection[str] = ()) -> str:
    """Markdown: the header, then each suite's tables. `metrics` names those to show besides."""
    parts = ["".join(f"    {line}\n" for line in header)]
    for name in dict.fromkeys(sample.suite for sample in samples):
        own = [sample for sample in samples if sample.suite == name]
        parts += _suite_parts(suites.load(name, Settings()), own, metrics)
    return "\n".join(part for part in parts if part)


def _suite_parts(suite: Suite, samples: list[Sample], metrics: Collection[str]) -> list[str]:
    rounds = len({sample.round for sample in samples})
    parts = [f"## {suite.name}, at most {rounds} rounds\n"]
    table = difference_table if suite.shows_differences else metric_table
    shown = [metric for metric in suite.metrics if metric.shown or metric.name in metrics]
    parts += [table(samples, metric) for metric in shown]
    if not suite.shows_differences:
        parts.append(summary_table(samples, shown))
    parts.append(own_figures_table(samples, suite.metrics))
    return parts
