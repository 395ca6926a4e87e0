"""In which order everything runs, and when enough has been run.

Machines drift: for minutes everything takes a third longer. So the allocators of one row run right
after one another, in another order each round, and rounds over all rows are repeated until the
spread of each row is known and small enough, or no more rounds are allowed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bench.allocators import BASELINE, Allocator
from bench.child import ChildFailedError, SkippedError
from bench.estimates import paired_ratio
from bench.results import Sample
from bench.suites.base import Program, Suite


@dataclass(frozen=True)
class Rounds:
    """How often each row is run."""

    at_least: int
    at_most: int
    spread: float  # a row is settled when each ratio is known to within this, both ways


@dataclass
class Session:
    """One suite under some allocators: what has been measured so far, and what could not be."""

    suite: Suite
    allocators: Sequence[Allocator]
    samples: list[Sample] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # by program
    failed: dict[tuple[str, str], str] = field(default_factory=dict)  # by program and allocator

    def run(
        self,
        programs: Iterable[Program],
        rounds: Rounds,
        save: Callable[[Iterable[Sample]], None],
    ) -> None:
        """Runs rounds over all rows that are not settled yet; `save` gets each row at once."""
        open_rows = list(programs)
        for number in range(rounds.at_most):
            for row, program in enumerate(open_rows):
                place = f"round {number + 1}, {row + 1} of {len(open_rows)}"
                _say(f"{self.suite.name} {place}: {program.name}")
                made = self._run_row(program, number, number + row)
                self.samples += made
                save(made)
            open_rows = [row for row in open_rows if not self._is_done(row, number + 1, rounds)]
            if not open_rows:
                break
        _say("")

    def _is_done(self, program: Program, rounds_run: int, rounds: Rounds) -> bool:
        if program.name in self.skipped:
            return True
        primary = self.suite.metrics[0].name
        enough = rounds_run >= rounds.at_least
        return enough and is_settled(self.samples, program.name, primary, rounds.spread)

    def _run_row(self, program: Program, number: int, rotation: int) -> list[Sample]:
        made: list[Sample] = []
        able = [allocator for allocator in self.allocators if program.runs_under(allocator)]
        for position, allocator in enumerate(rotated(able, rotation)):
            key = (program.name, allocator.name)
            if key in self.failed:
                continue
            try:
                metrics = program.measure(allocator)
            except SkippedError as reason:
                self.skipped[program.name] = str(reason)
                return []
            except ChildFailedError as reason:
                self.failed[key] = str(reason)
                print(f"\n{reason}", file=sys.stderr)
                continue
            where = (self.suite.name, program.name, allocator.name, allocator.is_peer)
            made += [
                Sample(*where, number, position, name, value) for name, value in metrics.items()
            ]
        return made


def rotated(allocators: Sequence[Allocator], by: int) -> list[Allocator]:
    """The same allocators, starting with another one; every second time backwards, so that nobody
    always follows the same neighbour.
    """
    if not allocators:
        return []
    start = by % len(allocators)
    order = [*allocators[start:], *allocators[:start]]
    return order[::-1] if by // len(allocators) % 2 else order


def is_settled(samples: Iterable[Sample], program: str, metric: str, spread: float) -> bool:
    """Whether each allocator's ratio to the baseline is known to within `spread`."""
    series: dict[str, dict[int, float]] = {}
    for sample in samples:
        if sample.program == program and sample.metric == metric:
            series.setdefault(sample.allocator, {})[sample.round] = sample.value
    if not series:
        return True
    base = BASELINE if BASELINE in series else next(iter(series))
    ratios = [paired_ratio(series[name], series[base]) for name in series if name != base]
    return all(ratio is not None and ratio.half_width <= spread for ratio in ratios)


def _say(text: str) -> None:
    """One line that is overwritten; nothing where nobody watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
