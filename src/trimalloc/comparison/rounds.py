"""All runs of a comparison, in rounds.

Machines drift: for minutes everything may be a third slower. So each round runs every allocator
once, and each round begins with another one, that none always follows the same drift.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trimalloc.comparison.allocators import Allocator, Missing
from trimalloc.comparison.machine import Machine
from trimalloc.comparison.run import RunResult, Task, run
from trimalloc.comparison.watch import OnProgress


@dataclass
class Comparison:
    """What was run, on what, and every result so far."""

    task: Task
    rounds: int
    allocators: Sequence[Allocator]
    missing: Sequence[Missing]
    machine: Machine
    started: str
    """Date and time in ISO 8601."""
    results: list[RunResult] = field(default_factory=list)
    interrupted: bool = False

    def results_of(self, allocator: Allocator) -> list[RunResult]:
        """The runs under one allocator, in the order they were made."""
        return [result for result in self.results if result.allocator == allocator.name]

    @property
    def ours_failed(self) -> bool:
        """Whether a run under trimalloc failed, or none was made."""
        ours = {allocator.name for allocator in self.allocators if allocator.mode is not None}
        runs = [result for result in self.results if result.allocator in ours]
        return not runs or any(result.error is not None for result in runs)


def schedule(allocators: Sequence[Allocator], rounds: int) -> list[tuple[int, Allocator]]:
    """The order of all runs: in each round the list begins one place later."""
    order: list[tuple[int, Allocator]] = []
    for round_ in range(rounds):
        first = round_ % len(allocators)
        order += [(round_, one) for one in [*allocators[first:], *allocators[:first]]]
    return order


def measure(
    comparison: Comparison,
    on_start: Callable[[int, int, Allocator], None],
    on_progress: OnProgress,
    on_result: Callable[[RunResult], None],
) -> None:
    """Makes every run, filling `comparison`; an interrupt ends it early and is noted there.

    An allocator whose run failed is not run again: it would fail each round.
    """
    order = schedule(comparison.allocators, comparison.rounds)
    failed: set[str] = set()
    try:
        for number, (round_, allocator) in enumerate(order):
            if allocator.name in failed:
                continue
            on_start(number, len(order), allocator)
            result = run(comparison.task, allocator, round_, on_progress)
            comparison.results.append(result)
            if result.error is not None:
                failed.add(allocator.name)
            on_result(result)
    except KeyboardInterrupt:
        comparison.interrupted = True
