"""What a suite is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.allocators import Allocator


class UnusableSettingError(ValueError):
    """A suite can't be made from what the command line says; the text says what to do."""


@dataclass(frozen=True)
class Settings:
    """What the command line says about which programs a suite has."""

    pythons: Sequence[Path] = ()  # the interpreters that Python programs run on
    folders: Sequence[Path] = ()  # with programs of others; none: the suite's own choice


@dataclass(frozen=True)
class Metric:
    """A figure that programs of a suite report; for all of them, less is better."""

    name: str
    title: str
    unit: str
    divisor: float = 1.0  # what a value is divided by to be shown in `unit`
    shown: bool = True  # whether it has a table of its own unless asked for


@dataclass(frozen=True)
class Program:
    """One row: something that runs under an allocator and yields its metrics."""

    name: str
    measure: Callable[[Allocator], dict[str, float]]
    python_version: tuple[int, int] | None = None  # None: not a Python program

    def runs_under(self, allocator: Allocator) -> bool:
        """Whether this program can show a difference that the allocator makes."""
        return self.python_version is None or self.python_version >= allocator.minimum_python


@dataclass(frozen=True)
class Suite:
    """Programs whose rows stand in one table; the first metric decides when rows are settled."""

    name: str
    programs: tuple[Program, ...]
    metrics: tuple[Metric, ...]
    native: bool  # programs without Python, to which its allocator settings mean nothing
    rounds: int  # the least that gives a spread worth naming
    shows_differences: bool = False  # tables show what is added to the baseline, not ratios
    others: tuple[Allocator, ...] = ()  # columns of its own, beside the allocators asked for
