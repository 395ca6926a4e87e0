"""TRIMALLOC_GCTRACE=1: a line for each cycle."""

from __future__ import annotations

import os
import re
import subprocess
import sys

LINE = re.compile(
    r"trimalloc gc (?P<number>\d+) @(?P<since>\d+\.\d{3})s (?P<share>\d+)%: "
    r"(?P<first>\d+\.\d{3})\+(?P<mark>\d+\.\d{3})\+(?P<second>\d+\.\d{3})\+(?P<sweep>\d+\.\d{3})"
    r" ms clock, (?P<cpu>\d+\.\d{3}) ms cpu, "
    r"(?P<before>[\d.]+ \w+)->(?P<marked>[\d.]+ \w+)->(?P<after>[\d.]+ \w+), "
    r"(?P<goal>[\d.]+ \w+|no) goal, (?P<procs>\d+) P, 2 markers(?P<forced> \(forced\))?"
)

PROGRAM = """
import trimalloc
heap = trimalloc.Heap(procs=2, markers=2, gc_percent=None)
@heap.record
class Number:
    value: trimalloc.int64
many = Number.batch(1 << 20)
heap.collect()
del many
heap.collect()
heap.gc_percent = 100
for _ in range(30):
    Number.batch(1 << 16)
"""


def printed(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr


def test_each_cycle_is_a_line() -> None:
    lines = [LINE.fullmatch(line) for line in printed(TRIMALLOC_GCTRACE="1").splitlines()]
    assert all(lines)
    assert len(lines) > 2
    cycles = [line.groupdict() for line in lines if line]
    assert [int(one["number"]) for one in cycles] == list(range(1, len(cycles) + 1))
    assert (cycles[0]["before"], cycles[0]["after"]) == ("16.0 MiB", "16.0 MiB")
    assert (cycles[1]["before"], cycles[1]["after"]) == ("16.0 MiB", "0 B")
    assert [one["goal"] for one in cycles[:2]] == ["no", "no"]
    assert [bool(one["forced"]) for one in cycles[:3]] == [True, True, False]
    assert cycles[2]["goal"] == "4.0 MiB"
    assert {one["procs"] for one in cycles} == {"2"}
    times = [float(one["since"]) for one in cycles]
    assert times == sorted(times)


def test_without_the_variable_nothing_is_printed() -> None:
    assert printed() == ""
    assert printed(TRIMALLOC_GCTRACE="0") == ""
