"""Which code made what lives in a heap: a few records of many, each with its label and stack."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from trimalloc._collected import WeakReference
from trimalloc.collected.inspection import NAMES_OF_ARRAYS
from trimalloc.collected.width import NativeHeap
from trimalloc.labels import current_label
from trimalloc.sizes import format_size

# Go's and gperftools' distance: 1,000 samples for 512 MiB, and next to no time.
DEFAULT_SAMPLE_BYTES = 512 * 1024

# Frames kept of a stack, the innermost: enough to tell callers apart, 1 KiB a sample.
_DEPTH = 16
# Entries before those of dead records are looked for: then, whenever as many again have come.
_FIRST_SWEEP = 1024
# Lines that a table shows.
_SHOWN = 20

_OWN_FILES = str(Path(__file__).parent.parent) + os.sep

Key = Literal["label", "class", "line"]


class Frame(NamedTuple):
    """A place in the program."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        """Return it as compilers do."""
        return f"{self.file}:{self.line} in {self.function}"


class _Entry(NamedTuple):
    """What is kept of a sample."""

    weak: WeakReference[Any]
    kind: Any
    bytes: int
    sample_bytes: int
    label: str
    stack: tuple[Frame, ...]


@dataclass(frozen=True)
class Sample:
    """A record that stands for those around it that nobody looked at."""

    label: str
    name: str
    """Of its class, or what the array holds."""
    record_class: Any
    """None: an array."""
    bytes: int
    """Of its slot."""
    weight: float
    """How many such records it stands for."""
    stack: tuple[Frame, ...]
    """Who made it, the innermost first."""
    weak: WeakReference[Any]
    """Names it without keeping it; not to be called for an array."""

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return self.weak.alive

    @property
    def record(self) -> Any:
        """A handle; None when it is gone, or an array."""
        return None if self.record_class is None else self.weak()


@dataclass(frozen=True)
class SampleRow:
    """Samples that have something in common."""

    key: tuple[str, ...]
    samples: int
    records: float
    """Estimated, as are ``bytes``."""
    bytes: float
    error_bytes: float
    """The standard error: two times out of three the truth is nearer than this."""


@dataclass(frozen=True)
class Samples:
    """The sampled records that live; ``str()`` is a table by label and class."""

    samples: tuple[Sample, ...]
    sample_bytes: int
    """The distance at which the heap samples now."""

    def __iter__(self) -> Iterator[Sample]:
        """Iterate over the samples."""
        return iter(self.samples)

    def __len__(self) -> int:
        """Return how many samples there are."""
        return len(self.samples)

    def by(self, *keys: Key) -> tuple[SampleRow, ...]:
        """Sum up what they stand for by ``"label"``, ``"class"``, ``"line"``; the most bytes first.

        The line is the innermost one of the program.
        """
        groups: dict[tuple[str, ...], list[Sample]] = {}
        for one in self.samples:
            groups.setdefault(tuple(_key_of(one, key) for key in keys), []).append(one)
        rows = (_row(key, group) for key, group in groups.items())
        return tuple(sorted(rows, key=lambda row: -row.bytes))

    def __str__(self) -> str:
        """Return a table of the largest rows, and what the others have together."""
        rows = self.by("label", "class")
        lines = [f"{'bytes':>10} {'error':>10} {'samples':>8}  class, label"]
        lines += [_line(row, f"{row.key[1]}, {row.key[0]}") for row in rows[:_SHOWN]]
        if len(rows) > _SHOWN:
            rest = {row.key for row in rows[_SHOWN:]}
            others = [one for one in self.samples if (one.label, one.name) in rest]
            lines.append(_line(_row((), others), f"({len(rest)} more rows)"))
        return "\n".join(lines)


def _line(row: SampleRow, text: str) -> str:
    size, error = format_size(round(row.bytes)), format_size(round(row.error_bytes))
    return f"{size:>10} {error:>10} {row.samples:8,}  {text}"


def _key_of(sample: Sample, key: Key) -> str:
    if key == "label":
        return sample.label
    if key == "class":
        return sample.name
    if key != "line":
        raise ValueError(f'samples are summed up by "label", "class" or "line", not {key!r}')
    return str(sample.stack[0]) if sample.stack else "?"


def _row(key: tuple[str, ...], samples: Iterable[Sample]) -> SampleRow:
    count, records, size, variance = 0, 0.0, 0.0, 0.0
    for one in samples:
        count += 1
        records += one.weight
        size += one.bytes * one.weight
        # Horvitz and Thompson's: each was taken with the probability 1 / weight, on its own.
        variance += one.bytes**2 * one.weight * (one.weight - 1)
    return SampleRow(key, count, records, size, math.sqrt(variance))


def _sample(entry: _Entry) -> Sample:
    record_class = None if isinstance(entry.kind, int) else entry.kind
    name = record_class.__name__ if record_class else NAMES_OF_ARRAYS.get(entry.kind, "?")
    weight = -1 / math.expm1(-entry.bytes / entry.sample_bytes)
    return Sample(entry.label, name, record_class, entry.bytes, weight, entry.stack, entry.weak)


def _stack() -> tuple[Frame, ...]:
    """Return the innermost frames of the program, without this package's own at its end."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OWN_FILES):
        frame = frame.f_back
    stack: list[Frame] = []
    while len(stack) < _DEPTH:
        code = frame.f_code
        stack.append(Frame(code.co_filename, frame.f_lineno or 0, code.co_name))
        if frame.f_back is None:
            break
        frame = frame.f_back
    return tuple(stack)


class SampleLog:
    """What a heap has sampled and not lost since.

    Single operations of a dict need no lock; walking it could meet another thread's.
    """

    __slots__ = ("_entries", "_sweep_at")

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}  # by the address of their weak references
        self._sweep_at = _FIRST_SWEEP

    def _note(self, samples: list[tuple[WeakReference[Any], Any, int, int]]) -> None:
        """Take what the native half has sampled in the call that ends just now."""
        label, stack = current_label(), _stack()
        for one in samples:
            self._entries[id(one[0])] = _Entry(*one, label, stack)
        if len(self._entries) >= self._sweep_at:
            for key, entry in self._entries.copy().items():
                if not entry.weak.alive:
                    self._entries.pop(key, None)
            self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._entries))

    def alive(self) -> tuple[Sample, ...]:
        """Return the samples whose records live."""
        return tuple(_sample(one) for one in self._entries.copy().values() if one.weak.alive)


class Sampling(NativeHeap):
    """The questions that samples answer."""

    _sample_log: SampleLog
    _sample_bytes: int

    def samples(self) -> Samples:
        """Return the sampled records that live, as of the last collection.

        A record stands for ``weight`` of its size: bytes by label, class or line are estimates, of
        which :meth:`Samples.by` says the error. ``sample_bytes`` sets how many are sampled.
        """
        return Samples(self._sample_log.alive(), self._sample_bytes)
