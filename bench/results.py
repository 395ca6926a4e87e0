"""Result files: one line per figure, and on top, as comments, what the figures depend on.

A run that is interrupted keeps what it has: every round is written as soon as it is there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType


@dataclass(frozen=True)
class Sample:
    """One figure of one run of one program under one allocator."""

    suite: str
    program: str
    allocator: str
    is_peer: bool
    round: int
    position: int  # which place this run had in its round: the first may find the caches cold
    metric: str
    value: float


class ResultFile:
    """A file that samples are appended to."""

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("w", encoding="utf-8", newline="")
        self._file.writelines(f"# {line}\n" for line in header)
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(field.name for field in fields(Sample))

    def append(self, samples: Iterable[Sample]) -> None:
        """Writes them out at once."""
        for sample in samples:
            row = list(astuple(sample))
            row[3] = int(sample.is_peer)
            row[-1] = f"{sample.value:.6g}"
            self._writer.writerow(row)
        self._file.flush()

    def __enter__(self) -> ResultFile:
        """The file closes itself at the end of a `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the file; it is complete up to the last row."""
        self._file.close()


def read(path: Path) -> tuple[list[str], list[Sample]]:
    """The header lines and the samples of a file."""
    header: list[str] = []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            header.append(line[2:])
        else:
            lines.append(line)
    return header, [_sample(row) for row in csv.DictReader(lines)]


def _sample(row: dict[str, str]) -> Sample:
    return Sample(
        suite=row["suite"],
        program=row["program"],
        allocator=row["allocator"],
        is_peer=row["is_peer"] == "1",
        round=int(row["round"]),
        position=int(row["position"]),
        metric=row["metric"],
        value=float(row["value"]),
    )
