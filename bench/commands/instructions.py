"""`python -m bench instructions`: instructions of one malloc and free of 64 bytes, by callgrind.

Counted, not timed: the same on a busy machine. The same loop is run with two lengths and the
difference divided by the difference of the lengths, so that start-up and warming cancel out; what
a loop without malloc costs is a row of its own.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from os import environ
from pathlib import Path

from bench.allocators import DEFAULT_NAMES, Allocator, UnknownAllocatorError, parse
from bench.suites.micro import build
from bench.tables import markdown

HELP = "count the instructions of a 64 B malloc and free (needs valgrind)"

SHORT, LONG = 20_000, 40_000
LEAST_SHOWN = 0.5  # below that: slow paths that an iteration in many takes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--allocators", metavar="NAME,...", help="as in `run`")


def execute(options: argparse.Namespace) -> int:
    """Prints total, and the functions that take part, per allocator."""
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: apt install valgrind", file=sys.stderr)
        return 2
    names = options.allocators.split(",") if options.allocators else DEFAULT_NAMES
    seen: set[Path | None] = set()
    body = []
    loop = sum(_per_iteration("empty", parse("glibc")).values())
    for name in names:
        try:
            allocator = parse(name)
        except UnknownAllocatorError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        if allocator.library in seen:
            continue
        seen.add(allocator.library)
        counts = _per_iteration("loop", allocator)
        shares = ", ".join(
            f"{name} {count:.1f}" for name, count in counts.most_common() if count >= LEAST_SHOWN
        )
        total = sum(counts.values())
        body.append([name, f"{total:.1f}", f"{total - loop:.1f}", shares])
    head = ["allocator", "pair and loop", "pair alone", "functions"]
    print(f"Instructions per iteration; the empty loop has {loop:.1f}.\n\n{markdown(head, body)}")
    return 0


def _per_iteration(kind: str, allocator: Allocator) -> Counter[str]:
    """Instructions per iteration of each function that has any."""
    short, long = (_count(kind, length, allocator) for length in (SHORT, LONG))
    each = {name: (long[name] - short[name]) / (LONG - SHORT) for name in long}
    return Counter({name: count for name, count in each.items() if count > 0})


def _count(kind: str, length: int, allocator: Allocator) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]
        command += [str(build("pair")), kind, str(length)]
        subprocess.run(command, env=allocator.environment(environ), check=True, capture_output=True)
        return own_costs(output.read_text())


def own_costs(text: str) -> Counter[str]:
    """Each function's own instructions from a callgrind file, without those of what it calls.

    `fn=(ID) NAME` opens a function, NAME only the first time; a line of two numbers is a cost; the
    line after `calls=` is the cost of a callee, which its own function has, too.
    """
    names: dict[str, str] = {}
    costs: Counter[str] = Counter()
    current = ""
    of_callee = False
    for line in text.splitlines():
        if line.startswith("fn="):
            current = _function(line.removeprefix("fn="), names)
        elif line.startswith("cfn="):
            _function(line.removeprefix("cfn="), names)
        elif line.startswith("calls="):
            of_callee = True
        elif match := re.fullmatch(r"[+*-]?\d* (\d+)", line):
            if not of_callee:
                costs[current] += int(match[1])
            of_callee = False
    return costs


def _function(text: str, names: dict[str, str]) -> str:
    number, _, name = text.partition(" ")
    if name:
        names[number] = name
    return names[number]
