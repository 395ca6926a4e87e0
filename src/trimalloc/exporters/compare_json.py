"""A comparison as JSON: every run with its samples, and the summary that the table shows."""

from __future__ import annotations

import json
from dataclasses import asdict

from trimalloc.comparison.rounds import Comparison
from trimalloc.comparison.summary import summarize

# Raised when a key changes its meaning or goes; new keys may come at any time.
FORMAT = 1


def render(comparison: Comparison) -> str:
    """The document; times are seconds since a run's start, memory is bytes."""
    measures, rows = summarize(comparison)
    return json.dumps(
        {
            "format": FORMAT,
            "command": list(comparison.task.command),
            "rounds": comparison.rounds,
            "idle_seconds": comparison.task.idle_seconds,
            "interrupted": comparison.interrupted,
            "started": comparison.started,
            "machine": asdict(comparison.machine),
            "missing": [asdict(one) for one in comparison.missing],
            "measures": [{"key": one.key, "title": one.title} for one in measures],
            "summary": [asdict(row) for row in rows],
            "runs": [asdict(result) for result in comparison.results],
        },
        indent=1,
    )
