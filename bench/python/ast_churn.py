"""The standard library's modules parsed, kept together, compiled and dropped, twice.

Millions of small objects of many sizes that all go away: what stays resident is what the allocator
did not give back.
"""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

from bench.python.harness import Report, main

MODULES = 90
ROUNDS = 2


def sources() -> list[tuple[str, str]]:
    """The first modules by name: the same ones in every run of one Python version."""
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in folder.glob("*.py") if path.stat().st_size < 200_000)
    return [(str(path), path.read_text(encoding="utf-8")) for path in paths[:MODULES]]


def workload(_: Report) -> None:
    """Parses all, then compiles all, then drops all."""
    for _round in range(ROUNDS):
        trees = [(name, ast.parse(text)) for name, text in sources()]
        codes = [compile(tree, name, "exec") for name, tree in trees]
        assert len(codes) == MODULES


if __name__ == "__main__":
    main(workload)
